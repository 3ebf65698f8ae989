// A cluster as one worker sees it: its members now, whose turn it is, its statistics.
// Thread: its worker's. Borrows: the slot the main thread publishes members through.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "proxy/stats/stats_store.h"
#include "proxy/upstream/cluster_metrics.h"
#include "proxy/upstream/endpoint.h"
#include "proxy/upstream/load_balancer.h"
#include "proxy/worker/slot.h"

namespace baton::proxy {

class Cluster {
 public:
  Cluster(std::string name, std::chrono::milliseconds connect_timeout,
          const Slot<ClusterMembers>& members, std::size_t worker, ClusterStats stats);

  const std::string& name() const { return name_; }
  std::chrono::milliseconds connect_timeout() const { return connect_timeout_; }
  const std::shared_ptr<const ClusterMembers>& members() const { return members_.get(worker_); }
  LoadBalancer& load_balancer() { return *load_balancer_; }
  const ClusterStats& stats() const { return stats_; }

 private:
  std::string name_;
  std::chrono::milliseconds connect_timeout_;
  const Slot<ClusterMembers>& members_;
  std::size_t worker_;
  std::unique_ptr<LoadBalancer> load_balancer_;
  ClusterStats stats_;
};

}  // namespace baton::proxy
