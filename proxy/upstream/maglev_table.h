// A table with one endpoint in each place, filled by letting the endpoints choose free places in
// turn, each in an order of its own. A client's place is its hash: O(1), shares as exact as the
// table is large, and few clients move when endpoints change.
// Source: D. Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", 2016,
// section 3.4.
// Thread: any; immutable. Depends on addresses and weights only, not on their order.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "proxy/upstream/endpoint.h"
#include "proxy/upstream/hash_key.h"

namespace baton::proxy {

class MaglevTable {
 public:
  // There is an endpoint.
  explicit MaglevTable(std::span<const std::shared_ptr<const Endpoint>> endpoints);

  // The endpoint of this hash, or, when it is not accepted, of further hashes of it. kNone: those
  // that are accepted have no place, because their weight is next to nothing.
  template <class Accepts>
  std::size_t find(std::uint64_t hash, Accepts accepts) const {
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      const std::uint32_t index = places_[hash % places_.size()];
      if (accepts(index)) return index;
      // Clients of an endpoint that is down spread over all others.
      hash = mix_hash(hash + 0x9e3779b97f4a7c15);
    }
    for (std::size_t i = 0; i < places_.size(); ++i) {
      const std::uint32_t index = places_[(hash + i) % places_.size()];
      if (accepts(index)) return index;
    }
    return kNone;
  }
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);

 private:
  static constexpr int kAttempts = 64;

  std::vector<std::uint32_t> places_;  // a prime number of them
};

}  // namespace baton::proxy
