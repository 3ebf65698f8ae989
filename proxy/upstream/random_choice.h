// Chooses at random, in proportion to the weights: by their sums and binary search, O(log n).
// Thread: one worker's.
#pragma once

#include <cstdint>

#include "proxy/upstream/load_balancer.h"

namespace baton::proxy {

class RandomChoice final : public LoadBalancer {
 public:
  RandomChoice();
  explicit RandomChoice(std::uint64_t seed) : state_(seed) {}

  std::size_t choose(const AvailableEndpoints& available, std::uint64_t hash) override;
  // Any number, evenly.
  std::uint64_t number();
  // A place among the candidates.
  std::size_t draw(const AvailableEndpoints& available);

 private:
  std::uint64_t state_;
};

}  // namespace baton::proxy
