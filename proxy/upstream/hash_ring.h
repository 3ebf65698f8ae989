// A ring of points, several for each endpoint and more for a heavier one. A client belongs to the
// next point at or after its hash; when an endpoint goes, only its own clients move.
// Source: D. Karger et al., "Consistent Hashing and Random Trees", 1997.
// Thread: any; immutable. Points depend on addresses only, so every process has the same ring.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "proxy/upstream/endpoint.h"

namespace baton::proxy {

class HashRing {
 public:
  explicit HashRing(std::span<const std::shared_ptr<const Endpoint>> endpoints);

  // The first endpoint from `hash` on that `accepts(index)`; there is one.
  template <class Accepts>
  std::size_t find(std::uint64_t hash, Accepts accepts) const {
    std::size_t at = position(hash);
    while (!accepts(points_[at].index)) at = at + 1 == points_.size() ? 0 : at + 1;
    return points_[at].index;
  }

 private:
  struct Point {
    std::uint64_t hash;
    std::uint32_t index;
  };
  std::size_t position(std::uint64_t hash) const;

  std::vector<Point> points_;
};

}  // namespace baton::proxy
