// Takes endpoints in turn, each as often as its weight says and spread out (a, a, b, a: not a, a,
// a, b). With equal weights it just goes round. Else turn k of an endpoint with weight w is due at
// (2k + 1) / 2w, and the endpoint whose turn is due first is chosen: a heap, so O(log n).
//
// Thread: one worker's.
#pragma once

#include <cstdint>
#include <vector>

#include "proxy/upstream/load_balancer.h"

namespace baton::proxy {

class RoundRobin final : public LoadBalancer {
 public:
  // Workers that start at different offsets do not all begin with the same endpoint.
  explicit RoundRobin(std::size_t offset) : position_(offset) {}

  std::size_t choose(const AvailableEndpoints& available, std::uint64_t hash) override;

 private:
  struct Turn {
    std::uint64_t doubled;  // 2k + 1
    std::uint64_t weight;
    std::uint32_t index;
    const Endpoint* endpoint;  // tells it from others, when indices change; never looked into

    // Fractions are compared by multiplying out: no rounding, so shares are exact.
    bool operator<(const Turn& other) const {
      const std::uint64_t a = doubled * other.weight;
      const std::uint64_t b = other.doubled * weight;
      return a != b ? a > b : index > other.index;  // the heap's top is what comes first
    }
  };

  void take_over(const AvailableEndpoints& available);
  std::size_t next();

  std::size_t position_;
  std::uint64_t version_ = 0;
  std::vector<Turn> turns_;  // a heap; only with unequal weights
  Turn now_{.doubled = 0, .weight = 1, .index = 0, .endpoint = nullptr};  // the last one taken
};

}  // namespace baton::proxy
