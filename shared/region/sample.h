// A metric with its summed cells, as exporters see it: from the region, from the private memory of
// a process, or made up for the export.
// Thread: none; plain values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "shared/region/metric.h"

namespace baton::region {

struct MetricSample {
  MetricDescription description;
  std::vector<std::uint64_t> cells;  // cells_of(kind) of them; a gauge's is two's complement
};

// One label for MetricDescription::labels, escaped: label("listener", "db") is listener="db".
std::string label(std::string_view key, std::string_view value);
// name{labels}, or the name alone.
std::string full_name(const MetricDescription& description);

// What a generation holds; cell 0 of each of its lanes.
MetricDescription held_connections_metric();

// Observations in a histogram's sample, and the value that the fraction `quantile` (0 to 1) of them
// does not exceed, within the buckets' error; 0 when there are none.
std::uint64_t histogram_count(const MetricSample& sample);
std::uint64_t histogram_quantile(const MetricSample& sample, double quantile);

// Adds `more` to `samples`: cell by cell where name, labels and kind are equal, else behind them.
void merge(std::vector<MetricSample>& samples, const std::vector<MetricSample>& more);

}  // namespace baton::region
