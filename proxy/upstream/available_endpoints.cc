#include "proxy/upstream/available_endpoints.h"

#include <algorithm>
#include <limits>
#include <map>

#include "proxy/upstream/endpoint_state.h"
#include "proxy/upstream/shared_state.h"

namespace baton::proxy {
namespace {

constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();
// A slow start begins with this percentage of the weight, and grows in so many steps.
constexpr std::uint64_t kFirstPercent = 10;
constexpr std::uint64_t kSteps = 50;
constexpr std::uint64_t kShortestStepNs = 20'000'000;

}  // namespace

void AvailableEndpoints::refresh(const std::shared_ptr<const ClusterMembers>& members) {
  const std::uint64_t epoch = shared_ != nullptr ? shared_->epoch() : 0;
  if (members == members_ && epoch == epoch_) {
    if (recheck_ns_ == kNever) return;
    const std::uint64_t now_ns = monotonic_ns();
    if (now_ns < recheck_ns_) return;
    rebuild(now_ns);
    return;
  }
  if (members != members_) ++version_;
  members_ = members;
  epoch_ = epoch;  // read before the states: a change in between is seen again, not missed
  rebuild(monotonic_ns());
}

void AvailableEndpoints::rebuild(std::uint64_t now_ns) {
  const auto& endpoints = members_->endpoints;
  recheck_ns_ = kNever;
  before_.swap(candidates_);
  candidates_.clear();
  weight_sums_.clear();
  equal_weights_ = true;
  available_.assign(endpoints.size(), false);
  const std::size_t count = choose(Health::Healthy, now_ns);
  if (count == 0 && policy_.checked) choose(Health::Unknown, now_ns);
  choose_priority();
  for (std::size_t i = 0; i < endpoints.size(); ++i) {
    if (available_[i]) add(static_cast<std::uint32_t>(i), now_ns);
  }
  // The epoch is of all clusters: most of its changes are none here.
  if (candidates_ != before_) ++version_;
}

// How many are in this health, or in any when nobody checks, and not ejected: these are available.
std::size_t AvailableEndpoints::choose(Health health, std::uint64_t now_ns) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < available_.size(); ++i) {
    const EndpointState* const state = members_->endpoints[i]->state.get();
    available_[i] = state == nullptr || is_available(*state, health, now_ns);
    if (available_[i]) ++count;
  }
  return count;
}

// Leaves only the candidates available.
void AvailableEndpoints::choose_priority() {
  struct Count {
    std::size_t all = 0;
    std::size_t available = 0;
  };
  const auto& endpoints = members_->endpoints;
  std::map<std::uint16_t, Count> counts;
  for (std::size_t i = 0; i < endpoints.size(); ++i) {
    Count& count = counts[endpoints[i]->priority];
    ++count.all;
    if (available_[i]) ++count.available;
  }
  const auto chosen = std::ranges::find_if(counts, [this](const auto& each) {
    const auto& [all, available] = each.second;
    return available > 0 && available * 100 >= all * policy_.panic_threshold;
  });
  panicking_ = chosen == counts.end() && !counts.empty() && policy_.panic_threshold > 0;
  const std::uint16_t priority = chosen != counts.end() ? chosen->first
                                 : counts.empty()       ? std::uint16_t{0}
                                                        : counts.begin()->first;
  fallbacks_.clear();
  for (std::size_t i = 0; i < endpoints.size(); ++i) {
    const bool is_candidate = endpoints[i]->priority == priority;
    if (!is_candidate && available_[i]) fallbacks_.push_back(static_cast<std::uint32_t>(i));
    available_[i] = is_candidate && (available_[i] || panicking_);
  }
  std::ranges::stable_sort(fallbacks_, {},
                           [&](std::uint32_t index) { return endpoints[index]->priority; });
}

bool AvailableEndpoints::is_available(const EndpointState& state, Health health,
                                      std::uint64_t now_ns) {
  if (const std::uint64_t until = state.ejected_until_ns(); policy_.ejects && until > now_ns) {
    recheck_ns_ = std::min(recheck_ns_, until);
    return false;
  }
  return !policy_.checked || state.health() == health;
}

void AvailableEndpoints::add(std::uint32_t index, std::uint64_t now_ns) {
  const std::uint32_t weight = weight_of(*members_->endpoints[index], now_ns);
  if (!candidates_.empty() && weight != candidates_.front().weight) equal_weights_ = false;
  candidates_.push_back({.index = index, .weight = weight});
  weight_sums_.push_back((weight_sums_.empty() ? 0 : weight_sums_.back()) + weight);
}

// With slow start weights are in hundredths, so that a weight of one has steps to grow in.
std::uint32_t AvailableEndpoints::weight_of(const Endpoint& endpoint, std::uint64_t now_ns) {
  const auto window = static_cast<std::uint64_t>(policy_.slow_start.count());
  if (window == 0) return endpoint.weight;
  std::uint64_t since = 0;
  if (endpoint.state) {
    since = endpoint.state->available_since_ns();
    if (policy_.ejects) since = std::max(since, endpoint.state->ejected_until_ns());
  }
  const std::uint64_t age = now_ns - std::min(since, now_ns);
  if (age >= window) return endpoint.weight * 100;
  recheck_ns_ = std::min(recheck_ns_, now_ns + std::max(window / kSteps, kShortestStepNs));
  const std::uint64_t percent = std::max(kFirstPercent, age * 100 / window);
  return static_cast<std::uint32_t>(endpoint.weight * percent);
}

}  // namespace baton::proxy
