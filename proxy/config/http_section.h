// Reads what only a [[listener]] with protocol = "http" has: [listener.http], its routes, its
// filters, its access log.
// Thread: main.
#pragma once

#include <memory>
#include <vector>

#include "proxy/config/table_reader.h"
#include "proxy/http/http_config.h"

namespace baton::proxy {

class NetworkFilterFactory;  // proxy/filter/network_filter.h

struct HttpListener {
  // Ahead of the HTTP proxy, which is to be the last of the chain.
  std::vector<std::shared_ptr<const NetworkFilterFactory>> network_filters;
  std::shared_ptr<const http::HttpConfig> config;
};

// Complete only when no mistake has been recorded. finish() of `listener` is the caller's.
HttpListener read_http(TableReader& listener);

}  // namespace baton::proxy
