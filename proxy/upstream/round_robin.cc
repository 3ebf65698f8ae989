#include "proxy/upstream/round_robin.h"

#include <algorithm>

namespace baton::proxy {

std::size_t RoundRobin::choose(const AvailableEndpoints& available, std::uint64_t /*hash*/) {
  const auto candidates = available.candidates();
  if (available.equal_weights()) {
    if (position_ >= candidates.size()) position_ %= candidates.size();
    return candidates[position_++].index;
  }
  if (available.version() != version_) start_over(available);
  return next();
}

void RoundRobin::start_over(const AvailableEndpoints& available) {
  version_ = available.version();
  turns_.clear();
  for (const auto& [index, weight] : available.candidates()) {
    turns_.push_back({.doubled = 1, .weight = weight, .index = index});
  }
  std::make_heap(turns_.begin(), turns_.end());
  // Not at the first endpoint each time: with frequent changes it would get more than its share.
  for (std::size_t skip = position_++ % turns_.size(); skip > 0; --skip) next();
}

std::size_t RoundRobin::next() {
  std::pop_heap(turns_.begin(), turns_.end());
  Turn& turn = turns_.back();
  turn.doubled += 2;
  const std::size_t index = turn.index;
  std::push_heap(turns_.begin(), turns_.end());
  return index;
}

}  // namespace baton::proxy
