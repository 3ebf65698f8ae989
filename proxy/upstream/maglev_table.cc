#include "proxy/upstream/maglev_table.h"

#include <algorithm>
#include <limits>

namespace baton::proxy {
namespace {

// Primes. A hundred places for each endpoint give shares within a percent of the weights.
constexpr std::size_t kSmallTable = 65537;
constexpr std::size_t kLargeTable = 655373;
constexpr std::size_t kMostInSmallTable = 600;
constexpr std::uint32_t kFree = std::numeric_limits<std::uint32_t>::max();

// One endpoint's order of the places: offset, offset + skip, offset + 2 skip, ...
struct Permutation {
  std::size_t next;
  std::size_t skip;
  double weight;  // in proportion to the heaviest
  double due = 0;
};

}  // namespace

MaglevTable::MaglevTable(std::span<const std::shared_ptr<const Endpoint>> endpoints)
    : places_(endpoints.size() <= kMostInSmallTable ? kSmallTable : kLargeTable, kFree) {
  const std::size_t size = places_.size();
  std::uint32_t heaviest = 1;
  for (const auto& endpoint : endpoints) heaviest = std::max(heaviest, endpoint->weight);
  std::vector<Permutation> permutations;
  for (const auto& endpoint : endpoints) {
    const std::string text = endpoint->address.text();
    permutations.push_back(
        {.next = static_cast<std::size_t>(hash_of_text(text, 1) % size),
         .skip = static_cast<std::size_t>(hash_of_text(text, 2) % (size - 1) + 1),
         .weight = static_cast<double>(endpoint->weight) / static_cast<double>(heaviest)});
  }
  std::size_t filled = 0;
  for (std::size_t round = 1; filled < size; ++round) {
    for (std::size_t i = 0; i < permutations.size() && filled < size; ++i) {
      Permutation& each = permutations[i];
      // A light endpoint sits out the rounds that are not its own.
      if (static_cast<double>(round) * each.weight < each.due + 1) continue;
      each.due += 1;
      while (places_[each.next] != kFree) each.next = (each.next + each.skip) % size;
      places_[each.next] = static_cast<std::uint32_t>(i);
      ++filled;
    }
  }
}

}  // namespace baton::proxy
