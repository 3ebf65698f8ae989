#include "proxy/upstream/least_request.h"

#include "proxy/upstream/endpoint_state.h"

namespace baton::proxy {

std::size_t LeastRequest::choose(const AvailableEndpoints& available, std::uint64_t /*hash*/) {
  const auto candidates = available.candidates();
  const auto one = random_.draw(available);
  if (candidates.size() == 1) return candidates[one].index;
  auto two = random_.draw(available);
  if (two == one) two = (two + 1 + random_.number() % (candidates.size() - 1)) % candidates.size();
  const auto active = [&](std::size_t candidate) -> std::uint64_t {
    const auto& state = available.members().endpoints[candidates[candidate].index]->state;
    return state ? state->active() : 0;
  };
  // By weight: (active + 1) / weight, multiplied out.
  const bool first =
      (active(one) + 1) * candidates[two].weight <= (active(two) + 1) * candidates[one].weight;
  return candidates[first ? one : two].index;
}

}  // namespace baton::proxy
