// The network filters there are. Adding one: a folder with the filter and its factory, and one line
// in registry.cc. docs/extending.md has a worked example.
// Thread: any; constant.
#pragma once

#include <memory>
#include <span>
#include <string_view>

namespace baton::proxy {

class NetworkFilterFactory;
class TableReader;

namespace http {
struct HttpConfig;  // proxy/http/http_config.h
}

struct NetworkFilterRegistration {
  std::string_view type;  // the `type` of a [[listener.filter]]
  bool terminal;          // must be the last of the chain
  // Reads the filter's own keys (`type` is taken already; finish() is the caller's). Nothing: a
  // mistake has been recorded in the reader.
  std::shared_ptr<const NetworkFilterFactory> (*parse)(TableReader& table);
};

std::span<const NetworkFilterRegistration> network_filters();
// nullptr: no such type.
const NetworkFilterRegistration* find_network_filter(std::string_view type);
// What `cluster = "..."` of a listener means.
std::shared_ptr<const NetworkFilterFactory> make_tcp_proxy_factory(std::string cluster);
// What ends the chain of a listener that speaks HTTP.
std::shared_ptr<const NetworkFilterFactory> make_http_factory(
    std::shared_ptr<const http::HttpConfig> config);

}  // namespace baton::proxy
