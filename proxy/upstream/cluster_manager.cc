#include "proxy/upstream/cluster_manager.h"

#include <utility>
#include <vector>

#include "proxy/upstream/managed_cluster.h"

namespace baton::proxy {

struct ClusterManager::Impl {
  explicit Impl(const Options& options) : shared(*options.stats) {
    for (const ClusterConfig& config : options.config->clusters) {
      metrics.push_back(ClusterMetrics::resolve(*options.stats, config.name));
      clusters.push_back(std::make_unique<ManagedCluster>(config, options.workers, shared));
    }
  }

  SharedState shared;
  std::vector<ClusterMetrics> metrics;
  std::vector<std::unique_ptr<ManagedCluster>> clusters;
};

ClusterManager::ClusterManager(const Options& options) : impl_(std::make_unique<Impl>(options)) {}
ClusterManager::~ClusterManager() = default;

std::size_t ClusterManager::size() const { return impl_->clusters.size(); }
SharedCluster& ClusterManager::cluster(std::size_t index) {
  return impl_->clusters[index]->shared();
}
const ClusterMetrics& ClusterManager::metrics(std::size_t index) const {
  return impl_->metrics[index];
}
SharedState& ClusterManager::shared() { return impl_->shared; }

void ClusterManager::warm_up(std::function<void()> done) { done(); }
void ClusterManager::lead() {}
void ClusterManager::rest() {}

}  // namespace baton::proxy
