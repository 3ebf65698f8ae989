// The health of one endpoint by its checks: how many of a kind in a row change it.
//
//   Unknown ──first success──► Healthy ──unhealthy_threshold failures in a row──► Unhealthy
//      └─────first failure────────────────────────────────────────────────────►     │
//                              Healthy ◄──healthy_threshold successes in a row──────┘
//
// Both fields are what all generations share: who takes over goes on counting, however short the
// time that each of them has.
//
// Pure. Thread: none; a plain value.
#pragma once

#include <cstdint>

#include "proxy/config/config.h"
#include "proxy/upstream/endpoint_state.h"

namespace baton::proxy {

enum class CheckResult : std::uint8_t { Success, Failure };

struct HealthRecord {
  using Health = EndpointState::Health;

  Health health = Health::Unknown;
  std::uint32_t streak = 0;  // as in region::EndpointSlot

  // What becomes of it by one more result.
  HealthRecord after(CheckResult result, const HealthCheckConfig& config) const {
    switch (health) {
      case Health::Unknown:
        return {.health = result == CheckResult::Success ? Health::Healthy : Health::Unhealthy};
      case Health::Healthy:
        if (result == CheckResult::Success) return {.health = health};
        return against(result, config.unhealthy_threshold, Health::Unhealthy);
      case Health::Unhealthy:
        if (result == CheckResult::Failure) return {.health = health};
        return against(result, config.healthy_threshold, Health::Healthy);
    }
    return {};  // a value that no state has: forget it
  }

 private:
  // A streak of the other kind was left by a verdict since: it counts no more.
  HealthRecord against(CheckResult result, std::uint32_t threshold, Health becomes) const {
    const std::uint32_t kind = result == CheckResult::Failure ? 1 : 0;
    const std::uint32_t count = ((streak & 1U) == kind ? streak >> 1U : 0) + 1;
    if (count >= threshold) return {.health = becomes};
    return {.health = health, .streak = count << 1U | kind};
  }
};

}  // namespace baton::proxy
