#include "proxy/config/retry_section.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/config/in_quotes.h"
#include "proxy/config/name_hint.h"

namespace baton::proxy {
namespace {

using namespace std::chrono_literals;
using http::RetryOn;

struct Reason {
  std::string_view name;
  RetryOn reason;
};
constexpr std::array<Reason, 5> kReasons{{
    {"connect-failure", RetryOn::ConnectFailure},
    {"reset", RetryOn::Reset},
    {"5xx", RetryOn::ServerError},
    {"gateway-error", RetryOn::GatewayError},
    {"retriable-codes", RetryOn::RetriableCodes},
}};

std::string names_of_reasons() {
  std::vector<std::string> names;
  for (const Reason& reason : kReasons) names.emplace_back(reason.name);
  return list_names(names, NameStyle::Quoted);
}

std::uint8_t read_reasons(TableReader& section) {
  const std::string allowed = names_of_reasons();
  section.require("on", "one or more of " + allowed);
  const auto names = section.strings("on");
  if (!names) return 0;
  if (names->empty()) section.error("on", "is empty; allowed: one or more of " + allowed);
  unsigned bits = 0;
  for (std::size_t i = 0; i < names->size(); ++i) {
    const auto found = std::ranges::find(kReasons, (*names)[i], &Reason::name);
    if (found != kReasons.end()) {
      bits |= static_cast<unsigned>(found->reason);
    } else {
      section.element_error("on", i,
                            in_quotes((*names)[i]) + " is no reason to retry; allowed: " + allowed);
    }
  }
  return static_cast<std::uint8_t>(bits);
}

void read_codes(TableReader& section, http::RetryPolicy& policy) {
  const auto codes = section.integers("codes", 200, 599);
  for (const std::int64_t code : codes.value_or(std::vector<std::int64_t>())) {
    policy.codes.push_back(static_cast<std::uint16_t>(code));
  }
  if (section.has("codes") && !policy.has(RetryOn::RetriableCodes)) {
    section.error("codes", R"(has no effect; allowed: with "retriable-codes" in on)");
  } else if (policy.has(RetryOn::RetriableCodes) && policy.codes.empty() &&
             (codes || !section.has("codes"))) {
    section.error("codes", R"(is missing; allowed: what "retriable-codes" are, [429, 503])");
  }
}

}  // namespace

std::optional<http::RetryPolicy> read_retry(TableReader& route) {
  auto section = route.table("retry");
  if (!section) return std::nullopt;
  http::RetryPolicy policy;
  policy.on = read_reasons(*section);
  read_codes(*section, policy);
  policy.retries =
      static_cast<std::uint32_t>(section->integer("attempts", 1, 10).value_or(policy.retries));
  policy.per_try_timeout = section->duration("per_try_timeout", 1ms, std::chrono::days(365));
  policy.budget_percent = static_cast<std::uint32_t>(
      section->integer("budget_percent", 0, 100).value_or(policy.budget_percent));
  policy.non_idempotent = section->boolean("non_idempotent").value_or(policy.non_idempotent);
  section->finish();
  return policy;
}

}  // namespace baton::proxy
