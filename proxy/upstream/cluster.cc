#include "proxy/upstream/cluster.h"

#include <utility>

#include "proxy/upstream/round_robin.h"

namespace baton::proxy {

Cluster::Cluster(std::string name, std::chrono::milliseconds connect_timeout,
                 const Slot<ClusterMembers>& members, std::size_t worker, ClusterStats stats)
    : name_(std::move(name)),
      connect_timeout_(connect_timeout),
      members_(members),
      worker_(worker),
      load_balancer_(std::make_unique<RoundRobin>(worker)),
      stats_(stats) {}

}  // namespace baton::proxy
