#include "proxy/upstream/maglev_table.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <utility>

namespace baton::proxy {
namespace {

// Primes. A hundred places for each endpoint give shares within a percent of the weights.
constexpr std::size_t kSmallTable = 65537;
constexpr std::size_t kLargeTable = 655373;
constexpr std::size_t kMostInSmallTable = 600;
constexpr std::uint32_t kFree = std::numeric_limits<std::uint32_t>::max();

// One endpoint's order of the places: offset, offset + skip, offset + 2 skip, ...
struct Permutation {
  std::string text;  // of its address
  std::uint32_t index;
  std::uint32_t weight;
  std::size_t next = 0;
  std::size_t skip = 0;
};

// By address, whatever the order in which they are written down: it decides among those whose turn
// is in the same round.
std::vector<Permutation> permutations_of(std::span<const std::shared_ptr<const Endpoint>> endpoints,
                                         std::size_t size) {
  std::vector<Permutation> permutations;
  permutations.reserve(endpoints.size());
  for (const auto& endpoint : endpoints) {
    permutations.push_back({.text = endpoint->address.text(),
                            .index = static_cast<std::uint32_t>(permutations.size()),
                            .weight = endpoint->weight});
    Permutation& each = permutations.back();
    each.next = static_cast<std::size_t>(hash_of_text(each.text, 1) % size);
    each.skip = static_cast<std::size_t>(hash_of_text(each.text, 2) % (size - 1) + 1);
  }
  std::ranges::sort(permutations, {}, &Permutation::text);
  return permutations;
}

// Who has a turn in which round: the heaviest in each, a light endpoint sits out those that are not
// its own. Those of one weight have theirs together; so one that is heavier by far makes no more
// work.
class Rounds {
 public:
  explicit Rounds(std::span<const Permutation> permutations) {
    std::map<std::uint32_t, std::vector<std::uint32_t>> by_weight;
    for (std::uint32_t i = 0; i < permutations.size(); ++i) {
      by_weight[permutations[i].weight].push_back(i);
    }
    heaviest_ = by_weight.rbegin()->first;
    for (auto& [weight, members] : by_weight) {
      classes_.push_back({.weight = weight, .members = std::move(members)});
      classes_.back().round = round_of_turn(classes_.back());
    }
    std::ranges::make_heap(classes_, std::greater(), &Class::round);
  }

  // Places among the permutations, in order.
  std::span<const std::uint32_t> next() {
    ++round_;
    due_.clear();
    bool in_order = true;
    while (classes_.front().round == round_) {
      std::ranges::pop_heap(classes_, std::greater(), &Class::round);
      Class& due = classes_.back();
      in_order = due_.empty();
      due_.insert(due_.end(), due.members.begin(), due.members.end());
      ++due.turn;
      due.round = round_of_turn(due);
      std::ranges::push_heap(classes_, std::greater(), &Class::round);
    }
    if (!in_order) std::ranges::sort(due_);
    return due_;
  }

 private:
  struct Class {
    std::uint64_t round = 0;  // of its next turn
    std::uint64_t turn = 1;
    std::uint32_t weight;
    std::vector<std::uint32_t> members;
  };

  std::uint64_t round_of_turn(const Class& each) const {
    return (each.turn * heaviest_ + each.weight - 1) / each.weight;
  }

  std::vector<Class> classes_;  // a heap
  std::vector<std::uint32_t> due_;
  std::uint64_t heaviest_ = 0;
  std::uint64_t round_ = 0;
};

}  // namespace

MaglevTable::MaglevTable(std::span<const std::shared_ptr<const Endpoint>> endpoints)
    : places_(endpoints.size() <= kMostInSmallTable ? kSmallTable : kLargeTable, kFree) {
  const std::size_t size = places_.size();
  std::vector<Permutation> permutations = permutations_of(endpoints, size);
  Rounds rounds(permutations);
  for (std::size_t filled = 0; filled < size;) {
    for (const std::uint32_t due : rounds.next()) {
      Permutation& each = permutations[due];
      while (places_[each.next] != kFree) each.next = (each.next + each.skip) % size;
      places_[each.next] = each.index;
      if (++filled == size) break;
    }
  }
}

}  // namespace baton::proxy
