// When a route sends a request to the upstream once more.
// Thread: any; immutable.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "proxy/http/codec/message_head.h"

namespace baton::proxy::http {

// Names as in Envoy's retry_on.
enum class RetryOn : std::uint8_t {
  ConnectFailure = 1U << 0,  // no connection was made
  Reset = 1U << 1,           // the upstream closed, reset or timed out before it answered
  ServerError = 1U << 2,     // "5xx": any status from 500, and the two above
  GatewayError = 1U << 3,    // 502, 503, 504
  RetriableCodes = 1U << 4,  // those in `codes`
};

struct RetryPolicy {
  // So many retries may always be under way, whatever share they are of the requests.
  static constexpr std::uint64_t kAlwaysAdmitted = 3;

  std::uint8_t on = 0;  // bits of RetryOn
  std::vector<std::uint16_t> codes;
  std::uint32_t retries = 1;                                 // beside the first attempt
  std::optional<std::chrono::milliseconds> per_try_timeout;  // absent: only the route's timeout
  std::uint32_t budget_percent = 20;  // of the cluster's requests in progress
  // Also of POST and the like, although the upstream may have acted on it already.
  bool non_idempotent = false;

  bool has(RetryOn reason) const { return (on & static_cast<std::uint8_t>(reason)) != 0; }
  bool on_connect_failure() const {
    return has(RetryOn::ConnectFailure) || has(RetryOn::ServerError);
  }
  // Precondition for both: the request may be repeated (may_repeat()).
  bool on_reset() const { return has(RetryOn::Reset) || has(RetryOn::ServerError); }
  bool on_status(std::uint16_t status) const;

  // Whether a request of which bytes have reached an upstream may go to another.
  bool may_repeat(Method method) const;
  // Whether one retry more keeps the budget. Both figures are of the cluster, now.
  bool budget_admits(std::uint64_t requests, std::uint64_t retries_under_way) const;
};

// RFC 9110 section 9.2.2. Unknown methods are not.
bool is_idempotent(Method method);

}  // namespace baton::proxy::http
