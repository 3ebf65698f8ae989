// GCC 12 takes a moved-from std::function inside <regex> for uninitialised when it instruments
// code.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

#include "shared/region/sample_filter.h"

#include <regex>
#include <utility>

namespace baton::region {
namespace {

// Compiling recurses once for each nested group.
constexpr std::size_t kLongestPattern = 1024;

}  // namespace

os::Result<std::vector<MetricSample>> filter_samples(std::vector<MetricSample> samples,
                                                     const std::string& pattern) {
  if (pattern.empty()) return samples;
  if (pattern.size() > kLongestPattern) {
    return os::plain_error("filter is longer than " + std::to_string(kLongestPattern) + " bytes");
  }
  try {
    // libstdc++'s default matcher backtracks: "(a*)*b" could keep the supervisor busy for years.
    const std::regex expression(pattern,
                                std::regex::ECMAScript | std::regex_constants::__polynomial);
    std::erase_if(samples, [&](const MetricSample& sample) {
      return !std::regex_search(full_name(sample.description), expression);
    });
    return samples;
  } catch (const std::regex_error& error) {
    return os::plain_error(std::string("filter is no regular expression (") + error.what() + "):",
                           pattern);
  }
}

}  // namespace baton::region
