#include "proxy/upstream/least_request.h"

#include "proxy/upstream/endpoint_state.h"

namespace baton::proxy {

std::size_t LeastRequest::choose(const AvailableEndpoints& available, std::uint64_t /*hash*/) {
  const auto candidates = available.candidates();
  const auto one = random_.draw(available);
  if (candidates.size() == 1) return candidates[one].index;
  const auto active = [&](std::size_t candidate) -> std::uint64_t {
    const auto& state = available.members().endpoints[candidates[candidate].index]->state;
    return state ? state->active() : 0;
  };
  // Whether the first has more to do for its weight than the other one, which has `more` besides.
  // In doubt it has not: what was drawn is in proportion to the weights already.
  const auto is_busier = [&](std::size_t other, std::uint64_t more) {
    return active(one) * candidates[other].weight > (active(other) + more) * candidates[one].weight;
  };
  auto two = random_.draw(available);
  std::uint64_t more = 0;
  if (two == one) {
    two = (two + 1 + random_.number() % (candidates.size() - 1)) % candidates.size();
    // Drawn twice for its weight: another one takes its place only if it would still have less.
    if (!available.equal_weights()) more = 1;
  }
  return candidates[is_busier(two, more) ? two : one].index;
}

}  // namespace baton::proxy
