// HTTP filter: gives each request an id in x-request-id, so that what its client, this proxy and
// its upstream log can be put together.
//
// Thread: its worker's. Borrows: the factory's configuration and the worker's source of ids.
#pragma once

#include <memory>
#include <string>

#include "proxy/http/filter/http_filter.h"
#include "proxy/http/filter/request_id/request_id_source.h"

namespace baton::proxy {
class TableReader;
}

namespace baton::proxy::http {

struct RequestIdConfig {
  bool trust = false;     // an id that the client sends is kept
  bool response = false;  // the response names it, too
};

class RequestId final : public HttpFilter {
 public:
  RequestId(const RequestIdConfig& config, RequestIdSource& source)
      : config_(config), source_(source) {}

  HttpFilterStatus decode_headers(RequestHead& head, EndOfStream end) override;
  HttpFilterStatus encode_headers(ResponseHead& head, EndOfStream end) override;

 private:
  const RequestIdConfig& config_;
  RequestIdSource& source_;
  std::string id_;  // for the response; empty: it is not to name it
};

class RequestIdFactory final : public HttpFilterFactory {
 public:
  explicit RequestIdFactory(const RequestIdConfig& config) : config_(config) {}

  // Reads `trust` and `response`.
  static std::shared_ptr<const HttpFilterFactory> parse(TableReader& table);
  MakeHttpFilter bind(const HttpFilterContext& context) const override;

 private:
  RequestIdConfig config_;
};

}  // namespace baton::proxy::http
