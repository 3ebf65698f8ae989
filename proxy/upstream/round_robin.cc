#include "proxy/upstream/round_robin.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace baton::proxy {

std::size_t RoundRobin::choose(const AvailableEndpoints& available, std::uint64_t /*hash*/) {
  const auto candidates = available.candidates();
  if (available.equal_weights()) {
    if (position_ >= candidates.size()) position_ %= candidates.size();
    return candidates[position_++].index;
  }
  if (available.version() != version_) take_over(available);
  return next();
}

// Who stays as it was keeps its place in the order, or frequent changes of others would give the
// first few turns of it to the heaviest each time. All others join where their own turns would be
// by now.
void RoundRobin::take_over(const AvailableEndpoints& available) {
  version_ = available.version();
  const bool first = turns_.empty();
  std::vector<Turn> before = std::exchange(turns_, {});
  std::ranges::sort(before, std::less(), &Turn::endpoint);
  for (const auto& [index, weight] : available.candidates()) {
    Turn turn{.doubled = 0,
              .weight = weight,
              .index = index,
              .endpoint = available.members().endpoints[index].get()};
    const auto old = std::ranges::lower_bound(before, turn.endpoint, std::less(), &Turn::endpoint);
    if (old != before.end() && old->endpoint == turn.endpoint && old->weight == weight) {
      turn.doubled = old->doubled;
    } else {
      // Whose turn was the last one waits for a whole round, others for the half on average.
      const std::uint64_t now = (weight * now_.doubled + now_.weight - 1) / now_.weight;
      turn.doubled = (now + (turn.endpoint == now_.endpoint ? 1 : 0)) | 1U;
    }
    turns_.push_back(turn);
  }
  std::make_heap(turns_.begin(), turns_.end());
  if (!first) return;
  for (std::size_t skip = position_; skip > 0; --skip) next();
}

std::size_t RoundRobin::next() {
  std::pop_heap(turns_.begin(), turns_.end());
  Turn& turn = turns_.back();
  now_ = turn;
  turn.doubled += 2;
  const std::size_t index = turn.index;
  std::push_heap(turns_.begin(), turns_.end());
  return index;
}

}  // namespace baton::proxy
