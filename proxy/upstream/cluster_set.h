// All clusters of one worker, found by name when filters are bound.
// Thread: its worker's; find() also main, before the worker runs.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "proxy/upstream/cluster.h"

namespace baton::proxy {

class ClusterSet {
 public:
  void add(std::unique_ptr<Cluster> cluster) { clusters_.push_back(std::move(cluster)); }
  // nullptr: no such cluster. Valid as long as the set.
  Cluster* find(std::string_view name) const {
    for (const auto& cluster : clusters_) {
      if (cluster->name() == name) return cluster.get();
    }
    return nullptr;
  }

 private:
  std::vector<std::unique_ptr<Cluster>> clusters_;
};

}  // namespace baton::proxy
