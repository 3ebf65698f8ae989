#include "proxy/upstream/managed_cluster.h"

#include "proxy/upstream/hash_ring.h"
#include "proxy/upstream/maglev_table.h"

namespace baton::proxy {

ManagedCluster::ManagedCluster(const ClusterConfig& config, std::span<EventLoop* const> workers,
                               SharedState& state)
    : shared_(config, workers, state, make_members(config, state)) {}

std::shared_ptr<const ClusterMembers> ManagedCluster::make_members(const ClusterConfig& config,
                                                                   SharedState& state) const {
  auto members = std::make_shared<ClusterMembers>();
  for (const EndpointConfig& endpoint : config.endpoints) {
    if (endpoint.kind != EndpointKind::Address) continue;
    members->endpoints.push_back(std::make_shared<const Endpoint>(
        Endpoint{.address = endpoint.address,
                 .weight = endpoint.weight,
                 .state = state.state_of(config.name, endpoint.address.text())}));
  }
  if (members->endpoints.empty()) return members;
  if (config.lb_policy == LbPolicy::RingHash) {
    members->ring = std::make_shared<HashRing>(members->endpoints);
  } else if (config.lb_policy == LbPolicy::Maglev) {
    members->maglev = std::make_shared<MaglevTable>(members->endpoints);
  }
  return members;
}

}  // namespace baton::proxy
