// Samples as text, in the three formats of `supervisor stats` and the admin listener.
//
// They take plain samples, so that what comes from elsewhere (a generation with another layout, the
// state of the supervisor) can be merged in before.
// Thread: none; pure functions.
#pragma once

#include <string>
#include <vector>

#include "shared/region/sample.h"

namespace baton::region {

// The Prometheus text format, version 0.0.4. Each family once, with HELP and TYPE, sorted by name
// and labels. Histograms as cumulative buckets whose bounds are the powers of two, less one: the
// highest whole value (microsecond, byte) in the bucket.
// Source: prometheus.io/docs/instrumenting/exposition_formats.
std::string prometheus_text(std::vector<MetricSample> samples);

// {"metrics":[{"name","labels":{...},"kind","value"}]}; a histogram has "count", "sum", "p50",
// "p90", "p99" instead of a value.
std::string json_text(std::vector<MetricSample> samples);

// One metric a line, for people: name{labels} value.
std::string plain_text(std::vector<MetricSample> samples);

// By name, then labels: the order of all three.
void sort_samples(std::vector<MetricSample>& samples);

}  // namespace baton::region
