// Takes endpoints in turn, each as often as its weight says and spread as evenly as that allows
// (a, a, b, a, c: not a, a, a, b, c). Each turn every endpoint earns its weight; the richest is
// chosen and pays the sum of all.
//
// Thread: one worker's.
// Invariant: the credits sum to zero.
#pragma once

#include <cstdint>
#include <vector>

#include "proxy/upstream/load_balancer.h"

namespace baton::proxy {

class RoundRobin final : public LoadBalancer {
 public:
  // Workers that start at different offsets do not all begin with the same endpoint.
  explicit RoundRobin(std::size_t offset) : skip_(offset) {}

  std::size_t choose(const ClusterMembers& members) override;

 private:
  std::size_t turn(const ClusterMembers& members);

  std::size_t skip_;
  std::vector<std::int64_t> credits_;
};

}  // namespace baton::proxy
