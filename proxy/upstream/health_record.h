// The health of one endpoint by its checks: how many of a kind in a row change it.
//
//   Unknown ──first success──► Healthy ──unhealthy_threshold failures in a row──► Unhealthy
//      └─────first failure────────────────────────────────────────────────────►     │
//                              Healthy ◄──healthy_threshold successes in a row──────┘
//
// Pure. Thread: none; a plain value.
#pragma once

#include <cstdint>

#include "proxy/config/config.h"
#include "proxy/upstream/endpoint_state.h"

namespace baton::proxy {

enum class CheckResult : std::uint8_t { Success, Failure };

class HealthRecord {
 public:
  using Health = EndpointState::Health;

  // What `now` becomes by one more result. `now` is what all generations share, and may have been
  // changed by another one since.
  Health step(Health now, CheckResult result, const HealthCheckConfig& config) {
    if (result != last_) streak_ = 0;
    last_ = result;
    ++streak_;
    switch (now) {
      case Health::Unknown:
        return result == CheckResult::Success ? Health::Healthy : Health::Unhealthy;
      case Health::Healthy:
        return result == CheckResult::Failure && streak_ >= config.unhealthy_threshold
                   ? Health::Unhealthy
                   : Health::Healthy;
      case Health::Unhealthy:
        return result == CheckResult::Success && streak_ >= config.healthy_threshold
                   ? Health::Healthy
                   : Health::Unhealthy;
    }
    return Health::Unknown;  // a value that no state has: forget it
  }

 private:
  CheckResult last_ = CheckResult::Success;
  std::uint32_t streak_ = 0;
};

}  // namespace baton::proxy
