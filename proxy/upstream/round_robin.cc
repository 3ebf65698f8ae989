#include "proxy/upstream/round_robin.h"

namespace baton::proxy {

std::size_t RoundRobin::choose(const ClusterMembers& members) {
  const std::size_t count = members.endpoints.size();
  if (count == 1) return 0;
  if (credits_.size() != count) {
    credits_.assign(count, 0);
    for (std::size_t i = 0; i < skip_ % count; ++i) turn(members);
  }
  return turn(members);
}

std::size_t RoundRobin::turn(const ClusterMembers& members) {
  std::int64_t total = 0;
  std::size_t richest = 0;
  for (std::size_t i = 0; i < credits_.size(); ++i) {
    const std::int64_t weight = members.endpoints[i]->weight;
    credits_[i] += weight;
    total += weight;
    if (credits_[i] > credits_[richest]) richest = i;
  }
  credits_[richest] -= total;
  return richest;
}

}  // namespace baton::proxy
