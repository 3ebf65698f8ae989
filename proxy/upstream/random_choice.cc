#include "proxy/upstream/random_choice.h"

#include <algorithm>

#include "proxy/upstream/hash_key.h"
#include "shared/os/random_seed.h"

namespace baton::proxy {

RandomChoice::RandomChoice() : state_(os::random_seed()) {}

// splitmix64: chance, not secrecy.
std::uint64_t RandomChoice::number() {
  state_ += 0x9e3779b97f4a7c15;
  return mix_hash(state_);
}

std::size_t RandomChoice::draw(const AvailableEndpoints& available) {
  const auto sums = available.weight_sums();
  if (available.equal_weights()) return number() % sums.size();
  const std::uint64_t point = number() % sums.back();
  return static_cast<std::size_t>(std::ranges::upper_bound(sums, point) - sums.begin());
}

std::size_t RandomChoice::choose(const AvailableEndpoints& available, std::uint64_t /*hash*/) {
  return available.candidates()[draw(available)].index;
}

}  // namespace baton::proxy
