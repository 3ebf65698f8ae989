#include "proxy/upstream/hash_ring.h"

#include <algorithm>

#include "proxy/upstream/hash_key.h"

namespace baton::proxy {
namespace {

// Shares differ from the weights by about 1 / sqrt(points of an endpoint): here a sixteenth.
constexpr std::uint64_t kPointsPerWeight = 256;
constexpr std::uint64_t kMostPoints = std::uint64_t{1} << 18U;

}  // namespace

HashRing::HashRing(std::span<const std::shared_ptr<const Endpoint>> endpoints) {
  std::uint64_t weights = 0;
  for (const auto& endpoint : endpoints) weights += endpoint->weight;
  // How many points an endpoint has must not depend on the others, or their clients would move,
  // too, when one comes or goes; but for halving all, where there would be too many.
  unsigned halvings = 0;
  while ((kPointsPerWeight * weights >> halvings) > kMostPoints) ++halvings;
  for (std::size_t i = 0; i < endpoints.size(); ++i) {
    const std::uint64_t seed = hash_of_text(endpoints[i]->address.text());
    const std::uint64_t count =
        std::max<std::uint64_t>(1, kPointsPerWeight * endpoints[i]->weight >> halvings);
    for (std::uint64_t k = 0; k < count; ++k) {
      points_.push_back({.hash = mix_hash(seed + k * 0x9e3779b97f4a7c15),
                         .index = static_cast<std::uint32_t>(i)});
    }
  }
  std::ranges::sort(points_, {}, &Point::hash);
}

std::size_t HashRing::position(std::uint64_t hash) const {
  const auto at = std::ranges::lower_bound(points_, hash, {}, &Point::hash);
  return at == points_.end() ? 0 : static_cast<std::size_t>(at - points_.begin());
}

}  // namespace baton::proxy
