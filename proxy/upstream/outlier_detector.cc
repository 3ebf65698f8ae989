#include "proxy/upstream/outlier_detector.h"

#include <algorithm>

#include "proxy/upstream/endpoint_state.h"
#include "proxy/upstream/shared_state.h"

namespace baton::proxy {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

std::uint64_t count_ns(std::chrono::milliseconds time) {
  return static_cast<std::uint64_t>(std::chrono::nanoseconds(time).count());
}

// Stores only what changes: the line is shared by all workers.
void clear(region::Atomic32& count) {
  if (count.load(kRelaxed) != 0) count.store(0, kRelaxed);
}

}  // namespace

// What fails while it is ejected had been sent to it before: it begins anew when it is back.
bool OutlierDetector::report(const Endpoint& endpoint, Outcome outcome,
                             const ClusterMembers& members) {
  if (!config_ || !endpoint.state) return false;
  EndpointState& state = *endpoint.state;
  region::EndpointSlot& slot = state.slot();
  switch (outcome) {
    case Outcome::Connected:
      clear(slot.consecutive_connect_failures);
      return false;
    case Outcome::Success:
      clear(slot.consecutive_5xx);
      clear(slot.consecutive_connect_failures);
      return false;
    case Outcome::ServerError: {
      clear(slot.consecutive_connect_failures);
      if (state.ejected(monotonic_ns())) return false;
      const std::uint32_t count = slot.consecutive_5xx.fetch_add(1, kRelaxed) + 1;
      const std::uint32_t limit = config_->consecutive_5xx;
      return limit != 0 && count >= limit && eject(state, members);
    }
    case Outcome::ConnectFailure: {
      if (state.ejected(monotonic_ns())) return false;
      const std::uint32_t count = slot.consecutive_connect_failures.fetch_add(1, kRelaxed) + 1;
      const std::uint32_t limit = config_->consecutive_connect_failures;
      return limit != 0 && count >= limit && eject(state, members);
    }
  }
  return false;
}

bool OutlierDetector::eject(EndpointState& state, const ClusterMembers& members) {
  const std::uint64_t now_ns = monotonic_ns();
  if (!below_ceiling(members, now_ns)) return false;  // as long as it lasts, without the lock
  const std::lock_guard one_at_a_time(mutex_);
  region::EndpointSlot& slot = state.slot();
  std::uint64_t until = slot.ejected_until_ns.load(kRelaxed);
  if (until > now_ns || !below_ceiling(members, now_ns)) return false;

  const std::uint64_t base = count_ns(config_->base_ejection_time);
  std::uint64_t times = slot.ejections.load(kRelaxed);
  times -= std::min(times, until == 0 ? 0 : (now_ns - until) / base);
  const std::uint64_t most = count_ns(config_->max_ejection_time);
  const std::uint64_t lasts =
      times + 1 >= most / base ? std::min(most, (times + 1) * base) : (times + 1) * base;
  // Of two that come to the same end at once, one has done it.
  if (!slot.ejected_until_ns.compare_exchange_strong(until, now_ns + lasts, kRelaxed)) return false;
  slot.ejections.store(static_cast<std::uint32_t>(std::min<std::uint64_t>(times + 1, 1'000'000)),
                       kRelaxed);
  slot.consecutive_5xx.store(0, kRelaxed);
  slot.consecutive_connect_failures.store(0, kRelaxed);
  shared_.announce(state);
  return true;
}

bool OutlierDetector::below_ceiling(const ClusterMembers& members, std::uint64_t now_ns) const {
  const std::uint64_t percent = config_->max_ejection_percent;
  const auto ejected = static_cast<std::uint64_t>(
      std::ranges::count_if(members.endpoints, [now_ns](const auto& endpoint) {
        return endpoint->state && endpoint->state->ejected(now_ns);
      }));
  if (percent == 0) return false;
  return ejected == 0 || (ejected + 1) * 100 <= members.endpoints.size() * percent;
}

}  // namespace baton::proxy
