// One cluster on the main thread: keeps what workers see of it up to date.
// Thread: main. Owns: what workers share of the cluster. Borrows: configuration, shared state.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "proxy/config/config.h"
#include "proxy/upstream/shared_cluster.h"

namespace baton::proxy {

class ManagedCluster {
 public:
  ManagedCluster(const ClusterConfig& config, std::span<EventLoop* const> workers,
                 SharedState& state);

  SharedCluster& shared() { return shared_; }

 private:
  std::shared_ptr<const ClusterMembers> make_members(const ClusterConfig& config,
                                                     SharedState& state) const;

  SharedCluster shared_;
};

}  // namespace baton::proxy
