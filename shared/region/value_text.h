// Numbers of a sample as users read them: times in seconds where the metric's name says so, gauges
// with a sign.
// Thread: none; pure functions.
#pragma once

#include <cstdint>
#include <string>

#include "shared/region/sample.h"

namespace baton::region {

// Values are recorded in microseconds; a name ending in _seconds or _seconds_total promises
// seconds.
bool is_in_seconds(const MetricDescription& description);
// The value of one cell in the metric's own unit, exact: "17", "-2", "0.000015".
std::string value_text(const MetricDescription& description, std::uint64_t value);
// "counter", "gauge", "histogram".
std::string kind_text(MetricKind kind);

}  // namespace baton::region
