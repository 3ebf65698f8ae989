// Draws two endpoints at random, by their weights, and takes the one that has less in progress for
// its weight. Two draws come close to the best of all without looking at all, and workers that know
// the same do not all run to the same endpoint.
// Source: M. Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 1996.
// Thread: one worker's.
#pragma once

#include "proxy/upstream/load_balancer.h"
#include "proxy/upstream/random_choice.h"

namespace baton::proxy {

class LeastRequest final : public LoadBalancer {
 public:
  LeastRequest() = default;
  explicit LeastRequest(std::uint64_t seed) : random_(seed) {}

  std::size_t choose(const AvailableEndpoints& available, std::uint64_t hash) override;

 private:
  RandomChoice random_;
};

}  // namespace baton::proxy
