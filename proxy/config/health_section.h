// Reads what a [[cluster]] says about the health of its endpoints: [cluster.health_check] and
// [cluster.outlier_detection].
// Thread: main.
#pragma once

#include <optional>

#include "proxy/config/config.h"
#include "proxy/config/table_reader.h"

namespace baton::proxy {

// Absent table: nothing. Complete only when no mistake has been recorded.
std::optional<HealthCheckConfig> read_health_check(TableReader& cluster);
std::optional<OutlierConfig> read_outlier_detection(TableReader& cluster);

}  // namespace baton::proxy
