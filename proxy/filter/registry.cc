#include "proxy/filter/registry.h"

#include <array>
#include <string>
#include <utility>

#include "proxy/config/table_reader.h"
#include "proxy/filter/ip_filter/ip_filter.h"
#include "proxy/filter/proxy_protocol/proxy_protocol.h"
#include "proxy/http/connection_manager/connection_manager.h"
#include "proxy/tcp/direct_response.h"
#include "proxy/tcp/tcp_proxy.h"

namespace baton::proxy {
namespace {

using Factory = std::shared_ptr<const NetworkFilterFactory>;

Factory parse_direct_response(TableReader& table) {
  std::optional<std::string> body = table.required_string("body");
  return body ? std::make_shared<DirectResponseFactory>(*std::move(body)) : nullptr;
}

Factory parse_tcp_proxy(TableReader& table) {
  if (!table.has("cluster")) {
    table.error("cluster", "is missing: the name of a [[cluster]]");
    return nullptr;
  }
  std::optional<std::string> cluster = table.cluster("cluster");
  return cluster ? make_tcp_proxy_factory(*std::move(cluster)) : nullptr;
}

constexpr std::array<NetworkFilterRegistration, 4> kFilters{{
    {.type = "direct_response", .terminal = true, .parse = parse_direct_response},
    {.type = "ip_filter", .terminal = false, .parse = IpFilterFactory::parse},
    {.type = "proxy_protocol", .terminal = false, .parse = ProxyProtocolFactory::parse},
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

std::shared_ptr<const NetworkFilterFactory> make_tcp_proxy_factory(std::string cluster) {
  return std::make_shared<TcpProxyFactory>(std::move(cluster));
}

std::shared_ptr<const NetworkFilterFactory> make_http_factory(
    std::shared_ptr<const http::HttpConfig> config) {
  return std::make_shared<http::ConnectionManagerFactory>(std::move(config));
}

}  // namespace baton::proxy
