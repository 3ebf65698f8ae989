#include "shared/region/value_text.h"

namespace baton::region {
namespace {

constexpr std::uint64_t kMicrosecondsPerSecond = 1'000'000;

std::string seconds_text(std::uint64_t microseconds) {
  std::string text = std::to_string(microseconds / kMicrosecondsPerSecond);
  const std::uint64_t fraction = microseconds % kMicrosecondsPerSecond;
  if (fraction == 0) return text;
  std::string digits = std::to_string(kMicrosecondsPerSecond + fraction);
  digits[0] = '.';
  digits.erase(digits.find_last_not_of('0') + 1);
  return text + digits;
}

}  // namespace

bool is_in_seconds(const MetricDescription& description) {
  return description.unit == MetricUnit::Microseconds &&
         (description.name.ends_with("_seconds") || description.name.ends_with("_seconds_total"));
}

std::string value_text(const MetricDescription& description, std::uint64_t value) {
  const bool negative =
      description.kind == MetricKind::Gauge && static_cast<std::int64_t>(value) < 0;
  const std::uint64_t magnitude = negative ? 0 - value : value;
  return (negative ? "-" : "") +
         (is_in_seconds(description) ? seconds_text(magnitude) : std::to_string(magnitude));
}

std::string kind_text(MetricKind kind) {
  switch (kind) {
    case MetricKind::Counter:
      return "counter";
    case MetricKind::Gauge:
      return "gauge";
    case MetricKind::Histogram:
      return "histogram";
  }
  return "untyped";
}

}  // namespace baton::region
