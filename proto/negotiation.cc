#include "proto/negotiation.h"

#include <algorithm>

namespace baton::proto {
namespace {

std::string range(const Hello& hello) {
  const std::string low = std::to_string(hello.protocol_min());
  if (hello.protocol_min() == hello.protocol_max()) return low;
  return low + " to " + std::to_string(hello.protocol_max());
}

std::vector<std::string> sorted_features(const Hello& hello) {
  std::vector<std::string> names(hello.features().begin(), hello.features().end());
  std::ranges::sort(names);
  const auto repeated = std::ranges::unique(names);
  names.erase(repeated.begin(), repeated.end());
  return names;
}

}  // namespace

bool Agreement::has(std::string_view feature) const {
  return std::ranges::binary_search(features, feature);
}

std::expected<Agreement, std::string> negotiate(const Hello& ours, const Hello& theirs) {
  const std::uint32_t low = std::max(ours.protocol_min(), theirs.protocol_min());
  const std::uint32_t high = std::min(ours.protocol_max(), theirs.protocol_max());
  if (low > high) {
    return std::unexpected("no common protocol: this side speaks " + range(ours) + ", the other " +
                           range(theirs));
  }
  Agreement agreement{.protocol = high};
  std::ranges::set_intersection(sorted_features(ours), sorted_features(theirs),
                                std::back_inserter(agreement.features));
  return agreement;
}

}  // namespace baton::proto
