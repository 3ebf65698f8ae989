// A region of test size, and children that map the same one.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>

#include <memory>
#include <string>
#include <utility>

#include "shared/region/region.h"
#include "shared/region/snapshot.h"

namespace baton::region {

inline constexpr Geometry kSmall{.lanes = 16, .cells_per_lane = 2048, .entries = 64};

inline std::unique_ptr<Region> make_region(const Geometry& geometry = kSmall) {
  auto region = Region::create({.geometry = geometry});
  REQUIRE_MESSAGE(region.has_value(), region.error().text());
  return std::move(*region);
}

inline os::UniqueFd duplicate(int fd) { return os::UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 0)); }

inline MetricDescription counter(std::string name, std::string labels = {}) {
  return {.name = std::move(name), .labels = std::move(labels), .help = "For tests."};
}
inline MetricDescription gauge(std::string name) {
  return {.name = std::move(name), .help = "For tests.", .kind = MetricKind::Gauge};
}
inline MetricDescription histogram(std::string name) {
  return {.name = std::move(name), .help = "For tests.", .kind = MetricKind::Histogram};
}

inline std::uint32_t cell_of(Region& region, const MetricDescription& metric, std::uint32_t slot) {
  const auto id = region.directory().find_or_add(metric, slot);
  REQUIRE_MESSAGE(id.has_value(), id.error().text());
  return id->first_cell;
}

inline Lane lane_of(Region& region, std::uint32_t slot, std::uint32_t index = 0) {
  auto lane = region.claim_lane(slot, index);
  REQUIRE_MESSAGE(lane.has_value(), lane.error().text());
  return std::move(*lane);
}

// The exported value of a counter or gauge, or count of a histogram; -1: not exported.
inline std::int64_t exported(Region& region, const std::string& name) {
  const auto samples = snapshot(region);
  REQUIRE(samples.has_value());
  for (const MetricSample& sample : *samples) {
    if (full_name(sample.description) != name) continue;
    const bool is_histogram = sample.description.kind == MetricKind::Histogram;
    return static_cast<std::int64_t>(is_histogram ? histogram_count(sample) : sample.cells[0]);
  }
  return -1;
}

}  // namespace baton::region
