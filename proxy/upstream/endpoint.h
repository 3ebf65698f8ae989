// One server of a cluster, and a snapshot of all of them.
// Thread: any; immutable once published.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "shared/os/socket_address.h"

namespace baton::proxy {

class EndpointState;  // proxy/upstream/endpoint_state.h
class HashRing;       // proxy/upstream/hash_ring.h
class MaglevTable;    // proxy/upstream/maglev_table.h

struct Endpoint {
  os::SocketAddress address;
  std::uint32_t weight = 1;
  // A lower number goes first; others get traffic when nobody of it can.
  std::uint16_t priority = 0;
  std::shared_ptr<EndpointState> state = nullptr;  // null: always available, nothing is known of it
};

// Connections keep an endpoint alive beyond the snapshot it came from.
struct ClusterMembers {
  std::vector<std::shared_ptr<const Endpoint>> endpoints;
  // Of all endpoints, available or not; null unless the cluster's policy needs it.
  std::shared_ptr<const HashRing> ring = nullptr;
  std::shared_ptr<const MaglevTable> maglev = nullptr;
};

}  // namespace baton::proxy
