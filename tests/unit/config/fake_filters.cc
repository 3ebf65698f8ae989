// The filters that the tests of the configuration know: one that ends a chain with a key of its
// own, one that refers to a cluster, and one with a key of every kind that does not end it.
#include <array>

#include "proxy/config/table_reader.h"
#include "proxy/filter/registry.h"

namespace baton::proxy {

class NetworkFilterFactory {};

namespace {

using Factory = std::shared_ptr<const NetworkFilterFactory>;

Factory parse_direct_response(TableReader& table) {
  return table.required_string("body") ? std::make_shared<NetworkFilterFactory>() : nullptr;
}

Factory parse_tcp_proxy(TableReader& table) {
  table.require("cluster", "the name of a cluster");
  return table.cluster("cluster") ? std::make_shared<NetworkFilterFactory>() : nullptr;
}

Factory parse_tag(TableReader& table) {
  const auto sources = table.strings("sources");
  for (std::size_t i = 0; sources && i < sources->size(); ++i) {
    if ((*sources)[i] == "bad") table.element_error("sources", i, "\"bad\" is bad");
  }
  table.size_bytes("limit");
  table.boolean("enabled");
  table.duration("window");
  return std::make_shared<NetworkFilterFactory>();
}

constexpr std::array<NetworkFilterRegistration, 3> kFilters{{
    {.type = "direct_response", .terminal = true, .parse = parse_direct_response},
    {.type = "tag", .terminal = false, .parse = parse_tag},
    {.type = "tcp_proxy", .terminal = true, .parse = parse_tcp_proxy},
}};

}  // namespace

std::span<const NetworkFilterRegistration> network_filters() { return kFilters; }

const NetworkFilterRegistration* find_network_filter(std::string_view type) {
  for (const NetworkFilterRegistration& filter : kFilters) {
    if (filter.type == type) return &filter;
  }
  return nullptr;
}

Factory make_tcp_proxy_factory(std::string) { return std::make_shared<NetworkFilterFactory>(); }
Factory make_http_factory(std::shared_ptr<const http::HttpConfig>) {
  return std::make_shared<NetworkFilterFactory>();
}

}  // namespace baton::proxy
