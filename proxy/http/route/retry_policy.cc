#include "proxy/http/route/retry_policy.h"

#include <algorithm>

namespace baton::proxy::http {

bool RetryPolicy::on_status(std::uint16_t status) const {
  if (has(RetryOn::ServerError) && status >= 500) return true;
  if (has(RetryOn::GatewayError) && status >= 502 && status <= 504) return true;
  return has(RetryOn::RetriableCodes) && std::ranges::find(codes, status) != codes.end();
}

bool RetryPolicy::may_repeat(Method method) const {
  return non_idempotent || is_idempotent(method);
}

bool RetryPolicy::budget_admits(std::uint64_t requests, std::uint64_t retries_under_way) const {
  return retries_under_way < std::max(kAlwaysAdmitted, requests * budget_percent / 100);
}

bool is_idempotent(Method method) {
  switch (method) {
    case Method::Get:
    case Method::Head:
    case Method::Put:
    case Method::Delete:
    case Method::Options:
    case Method::Trace:
      return true;
    case Method::Other:
    case Method::Post:
    case Method::Connect:
    case Method::Patch:
      return false;
  }
  return false;
}

}  // namespace baton::proxy::http
