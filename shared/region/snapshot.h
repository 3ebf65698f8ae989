// Reading the region: every metric in use with its sum over all lanes.
// Thread: any. Takes the directory's lock for the time of one pass over it.
#pragma once

#include <vector>

#include "shared/os/error.h"
#include "shared/region/region.h"
#include "shared/region/sample.h"

namespace baton::region {

// In the order of the directory, and, made up here, how many metrics did not fit into the region
// (baton_region_metrics_overflowed). Error: the lock could not be had.
os::Result<std::vector<MetricSample>> snapshot(Region& region);

}  // namespace baton::region
