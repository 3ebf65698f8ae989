// One server of a cluster, and a snapshot of all of them.
// Thread: any; immutable once published.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "shared/os/socket_address.h"

namespace baton::proxy {

struct Endpoint {
  os::SocketAddress address;
  std::uint32_t weight = 1;
};

// Connections keep an endpoint alive beyond the snapshot it came from.
struct ClusterMembers {
  std::vector<std::shared_ptr<const Endpoint>> endpoints;
};

}  // namespace baton::proxy
