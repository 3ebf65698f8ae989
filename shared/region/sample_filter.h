// Keeps the samples whose name{labels} a regular expression finds a match in.
// Thread: none; pure functions.
#pragma once

#include <string>
#include <vector>

#include "shared/os/error.h"
#include "shared/region/sample.h"

namespace baton::region {

// `pattern`: RE2's syntax, without back-references: matching takes linear time, whoever wrote the
// pattern. Empty: all are kept. Error: the pattern is invalid, too long or too large.
os::Result<std::vector<MetricSample>> filter_samples(std::vector<MetricSample> samples,
                                                     const std::string& pattern);

}  // namespace baton::region
