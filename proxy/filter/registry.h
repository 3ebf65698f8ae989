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

}  // namespace baton::proxy
