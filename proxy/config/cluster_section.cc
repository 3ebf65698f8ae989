#include "proxy/config/cluster_section.h"

#include <string>

namespace baton::proxy {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kEndpointSyntax = "an array of addresses or { address, weight }";

void read_endpoints(TableReader& section, ClusterConfig& cluster) {
  section.require("endpoints", kEndpointSyntax);
  auto elements = section.tables_or_strings("endpoints", "address");
  if (!elements) return;
  if (elements->empty() && section.has("endpoints")) {
    section.error("endpoints", "is empty; allowed: " + std::string(kEndpointSyntax));
  }
  for (TableReader& element : *elements) {
    EndpointConfig endpoint;
    element.require("address", os::SocketAddress::kSyntax);
    if (const auto address = element.address("address")) {
      endpoint.address = *address;
      if (!address->is_unix() && address->port() == 0) {
        element.error("address", "nothing can be reached on port 0; allowed: 1 to 65535");
      }
    }
    endpoint.weight =
        static_cast<std::uint32_t>(element.integer("weight", 1, 1000).value_or(endpoint.weight));
    element.finish();
    cluster.endpoints.push_back(std::move(endpoint));
  }
}

}  // namespace

ClusterConfig read_cluster(TableReader& section, UniqueNames& names) {
  ClusterConfig cluster;
  cluster.name = names.take(section);
  read_endpoints(section, cluster);
  section.choice("lb_policy", {"round_robin"}, {"least_request", "random", "ring_hash", "maglev"});
  cluster.connect_timeout =
      section.duration("connect_timeout", 1ms, 1h).value_or(cluster.connect_timeout);
  section.not_available("health_check", "a cluster without it");
  section.finish();
  return cluster;
}

}  // namespace baton::proxy
