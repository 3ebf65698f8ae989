#include "proxy/http/filter/fault/fault_plan.h"

#include <charconv>
#include <string_view>

#include "shared/os/duration.h"

namespace baton::proxy::http {
namespace {

bool falls_on(std::uint32_t percent, std::minstd_rand& random) {
  if (percent == 0) return false;
  return percent >= 100 || std::uniform_int_distribution<std::uint32_t>(0, 99)(random) < percent;
}

void ask_for_delay(std::string_view text, FaultPlan& plan) {
  const auto asked = os::parse_duration(text);
  if (asked && *asked <= kLongestAsked) {
    plan.delay = std::chrono::duration_cast<std::chrono::milliseconds>(*asked);
  }
}

void ask_for_abort(std::string_view text, FaultPlan& plan) {
  if (text == "reset") {
    plan.abort = Abort::Reset;
    return;
  }
  std::uint16_t status = 0;
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, status);
  if (error != std::errc() || end != last || status < 200 || status > 599) return;
  plan.abort = Abort::Answer;
  plan.status = status;
}

}  // namespace

FaultPlan plan_fault(const FaultConfig& config, const HeaderMap& headers,
                     std::minstd_rand& random) {
  FaultPlan plan;
  if (falls_on(config.delay_percent, random)) plan.delay = config.plan.delay;
  if (falls_on(config.abort_percent, random)) {
    plan.abort = config.plan.abort;
    plan.status = config.plan.status;
  }
  if (!config.by_request) return plan;
  if (const auto* const field = headers.find("x-fault-delay")) ask_for_delay(field->value(), plan);
  if (const auto* const field = headers.find("x-fault-abort")) ask_for_abort(field->value(), plan);
  return plan;
}

}  // namespace baton::proxy::http
