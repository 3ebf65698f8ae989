// The configuration of one generation, validated: names are unique, references resolve.
// Thread: any; immutable once load_config() has returned it.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "shared/os/socket_address.h"

namespace baton::proxy {

class NetworkFilterFactory;  // proxy/filter/network_filter.h

namespace http {
struct HttpConfig;  // proxy/http/http_config.h
}

enum class Protocol { Tcp, Udp, Http };

enum class EndpointKind { Address, Host, Service };

struct EndpointConfig {
  os::SocketAddress address;  // of kind Address
  std::uint32_t weight = 1;
  EndpointKind kind = EndpointKind::Address;
  std::string host;        // of the other kinds: the name to look up (A and AAAA, or SRV)
  std::uint16_t port = 0;  // of kind Host; a service's comes with its records
};

enum class LbPolicy { RoundRobin, LeastRequest, Random, RingHash, Maglev };

struct HealthCheckConfig {
  enum class Type { Tcp, Http };
  Type type = Type::Tcp;
  std::string path = "/";  // http only, as the two below
  std::string host;        // empty: the endpoint's address
  std::uint32_t expected_status = 200;
  std::chrono::milliseconds interval{5000};
  std::chrono::milliseconds timeout{1000};
  std::uint32_t healthy_threshold = 2;
  std::uint32_t unhealthy_threshold = 3;
};

struct OutlierConfig {
  std::uint32_t consecutive_5xx = 5;               // 0: they eject nobody
  std::uint32_t consecutive_connect_failures = 5;  // 0: they eject nobody
  std::chrono::milliseconds base_ejection_time{30'000};
  std::chrono::milliseconds max_ejection_time{300'000};
  std::uint32_t max_ejection_percent = 10;  // of the endpoints; one may always be ejected, unless 0
};

// At once, over all workers of a process; 0: no limit.
struct CircuitLimits {
  std::uint32_t connections = 0;
  std::uint32_t pending_requests = 1024;
  std::uint32_t requests = 1024;
  std::uint32_t retries = 3;
};

// Connections kept open for the next request.
struct IdlePoolConfig {
  std::uint32_t max_idle_connections = 128;  // of each worker; 0: none is kept
  std::chrono::milliseconds idle_timeout{30'000};
};

struct ClusterConfig {
  std::string name;
  std::vector<EndpointConfig> endpoints;  // not empty unless there is a file
  std::string endpoints_file;             // absolute; empty: none
  LbPolicy lb_policy = LbPolicy::RoundRobin;
  std::chrono::milliseconds connect_timeout{5000};
  CircuitLimits limits;
  std::optional<HealthCheckConfig> health_check;
  std::optional<OutlierConfig> outlier_detection;
  std::uint32_t panic_threshold = 0;        // percent; below it all endpoints are used
  std::chrono::milliseconds slow_start{0};  // 0: a newcomer gets its full share at once
  IdlePoolConfig keepalive;
  // Connections begin with a header that names the client: PROXY protocol, version 2.
  bool send_proxy_protocol = false;
};

struct ListenerConfig {
  std::string name;
  os::SocketAddress address;
  Protocol protocol = Protocol::Tcp;
  std::optional<std::chrono::milliseconds> idle_timeout;  // absent: never
  std::uint32_t max_connections = 0;                      // 0: no limit; of Udp: sessions
  std::uint32_t backlog = 4096;
  std::string cluster;  // protocol Udp only
  // Not of Udp. In order; the last one is terminal (`cluster = "..."` becomes a tcp_proxy at the
  // end).
  std::vector<std::shared_ptr<const NetworkFilterFactory>> filters;
  std::shared_ptr<const http::HttpConfig> http;  // protocol Http only
};

struct Config {
  std::uint32_t workers = 1;  // resolved: never 0
  bool move_connections = true;
  std::vector<os::SocketAddress> dns_servers;  // empty: those of the system
  std::chrono::milliseconds warm_time{5000};
  std::optional<os::SocketAddress> admin;
  std::vector<ListenerConfig> listeners;
  std::vector<ClusterConfig> clusters;
};

}  // namespace baton::proxy
