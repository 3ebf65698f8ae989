#include "shared/region/sample_filter.h"

#include <re2/re2.h>

#include <utility>

namespace baton::region {
namespace {

constexpr std::size_t kLongestPattern = 1024;
// A repetition may unfold a short pattern into a large program, and a match may take as many steps
// for each byte as the program has, or remember them within this memory: so the supervisor is never
// busy for more than a moment.
constexpr int kLargestProgram = 2048;
constexpr std::int64_t kMostMemory = 4 << 20;

// Bytes, not UTF-8: labels may hold anything.
re2::RE2::Options filter_options() {
  re2::RE2::Options options(re2::RE2::Latin1);
  options.set_log_errors(false);
  options.set_max_mem(kMostMemory);
  return options;
}

}  // namespace

os::Result<std::vector<MetricSample>> filter_samples(std::vector<MetricSample> samples,
                                                     const std::string& pattern) {
  if (pattern.empty()) return samples;
  if (pattern.size() > kLongestPattern) {
    return os::plain_error("filter is longer than " + std::to_string(kLongestPattern) + " bytes");
  }
  const re2::RE2 expression(pattern, filter_options());
  if (!expression.ok()) {
    return os::plain_error("filter is no regular expression (" + expression.error() + "):",
                           pattern);
  }
  if (expression.ProgramSize() > kLargestProgram) {
    return os::plain_error("filter is too large a regular expression:", pattern);
  }
  std::erase_if(samples, [&](const MetricSample& sample) {
    return !re2::RE2::PartialMatch(full_name(sample.description), expression);
  });
  return samples;
}

}  // namespace baton::region
