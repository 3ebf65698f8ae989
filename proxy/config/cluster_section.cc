#include "proxy/config/cluster_section.h"

#include <string>
#include <utility>

#include "proxy/config/endpoint_text.h"
#include "proxy/config/health_section.h"
#include "proxy/config/in_quotes.h"

namespace baton::proxy {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kEndpointSyntax = "an array of addresses or { address, weight }";
constexpr std::int64_t kLargestLimit = 1'000'000'000;

void read_endpoint(TableReader& element, ClusterConfig& cluster) {
  EndpointConfig endpoint;
  const std::string allowed = "; allowed: " + std::string(kEndpointTextSyntax);
  element.require("address", kEndpointTextSyntax);
  if (const auto text = element.string("address")) {
    if (auto parsed = parse_endpoint_text(*text)) {
      endpoint = std::move(*parsed);
    } else {
      element.error("address", parsed.error() + allowed);
    }
  }
  endpoint.weight =
      static_cast<std::uint32_t>(element.integer("weight", 1, 1000).value_or(endpoint.weight));
  element.finish();
  cluster.endpoints.push_back(std::move(endpoint));
}

void read_endpoints(TableReader& section, ClusterConfig& cluster) {
  if (const auto path = section.string("endpoints_file")) {
    cluster.endpoints_file = *path;
    if (!path->starts_with('/') || path->find('\0') != std::string::npos) {
      section.error("endpoints_file",
                    in_quotes(*path) + " is not an absolute path; allowed: \"/path/to/file\"");
    }
  }
  if (!section.has("endpoints_file")) section.require("endpoints", kEndpointSyntax);
  auto elements = section.tables_or_strings("endpoints", "address");
  if (!elements) return;
  if (elements->empty() && section.has("endpoints")) {
    section.error("endpoints", "is empty; allowed: " + std::string(kEndpointSyntax));
  }
  for (TableReader& element : *elements) read_endpoint(element, cluster);
}

LbPolicy read_policy(TableReader& section) {
  const auto name = section.choice(
      "lb_policy", {"round_robin", "least_request", "random", "ring_hash", "maglev"});
  if (name == "least_request") return LbPolicy::LeastRequest;
  if (name == "random") return LbPolicy::Random;
  if (name == "ring_hash") return LbPolicy::RingHash;
  if (name == "maglev") return LbPolicy::Maglev;
  return LbPolicy::RoundRobin;
}

std::uint32_t read_limit(TableReader& section, std::string_view key, std::uint32_t otherwise) {
  return static_cast<std::uint32_t>(section.integer(key, 0, kLargestLimit).value_or(otherwise));
}

void read_limits(TableReader& section, CircuitLimits& limits) {
  limits.connections = read_limit(section, "max_connections", limits.connections);
  limits.pending_requests = read_limit(section, "max_pending_requests", limits.pending_requests);
  limits.requests = read_limit(section, "max_requests", limits.requests);
  limits.retries = read_limit(section, "max_retries", limits.retries);
}

void read_keepalive(TableReader& cluster, IdlePoolConfig& keepalive) {
  auto section = cluster.table("keepalive");
  if (!section) return;
  keepalive.max_idle_connections =
      static_cast<std::uint32_t>(section->integer("max_idle_connections", 0, kLargestLimit)
                                     .value_or(keepalive.max_idle_connections));
  keepalive.idle_timeout =
      section->duration("idle_timeout", 1ms, 24h).value_or(keepalive.idle_timeout);
  section->finish();
}

}  // namespace

ClusterConfig read_cluster(TableReader& section, UniqueNames& names) {
  ClusterConfig cluster;
  cluster.name = names.take(section);
  read_endpoints(section, cluster);
  cluster.lb_policy = read_policy(section);
  cluster.connect_timeout =
      section.duration("connect_timeout", 1ms, 1h).value_or(cluster.connect_timeout);
  read_limits(section, cluster.limits);
  cluster.panic_threshold = static_cast<std::uint32_t>(
      section.integer("panic_threshold", 0, 100).value_or(cluster.panic_threshold));
  cluster.slow_start = section.duration("slow_start", 0ms, 24h).value_or(cluster.slow_start);
  cluster.health_check = read_health_check(section);
  cluster.outlier_detection = read_outlier_detection(section);
  read_keepalive(section, cluster.keepalive);
  cluster.send_proxy_protocol = section.choice("send_proxy_protocol", {"v2"}).has_value();
  section.finish();
  return cluster;
}

}  // namespace baton::proxy
