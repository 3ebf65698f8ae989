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

enum class Protocol { Tcp };

struct EndpointConfig {
  os::SocketAddress address;
  std::uint32_t weight = 1;
};

struct ClusterConfig {
  std::string name;
  std::vector<EndpointConfig> endpoints;  // never empty
  std::chrono::milliseconds connect_timeout{5000};
};

struct ListenerConfig {
  std::string name;
  os::SocketAddress address;
  Protocol protocol = Protocol::Tcp;
  std::optional<std::chrono::milliseconds> idle_timeout;  // absent: never
  std::uint32_t max_connections = 0;                      // 0: no limit
  std::uint32_t backlog = 4096;
  // In order; the last one is terminal (`cluster = "..."` becomes a tcp_proxy at the end).
  std::vector<std::shared_ptr<const NetworkFilterFactory>> filters;
};

struct Config {
  std::uint32_t workers = 1;  // resolved: never 0
  bool move_connections = true;
  std::optional<os::SocketAddress> admin;
  std::vector<ListenerConfig> listeners;
  std::vector<ClusterConfig> clusters;
};

}  // namespace baton::proxy
