// Counts that reach the supervisor by message, from generations that cannot write to the region
// themselves: built with another layout, or with metrics that did not fit into it. They are added
// to the supervisor's own lane; what the region has no room for is kept here.
//
// Thread: the supervisor's. Borrows: the region and the supervisor's lane (both outlive it).
// Invariant: what a slot's gauges have added is known, and taken back when its process has ended.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "shared/region/region.h"
#include "shared/region/sample.h"

namespace baton::region {

class ForeignCounts {
 public:
  ForeignCounts(Region* region, const Lane* lane) : region_(region), lane_(lane) {}

  // Adds the change of one metric since the last report, reported by the generation of `slot`.
  // False, and nothing is changed: the number of cells is wrong for the kind (a histogram of
  // another layout), a count goes down, or the name is in use for another kind.
  bool add(std::uint32_t slot, const MetricDescription& description,
           std::span<const std::int64_t> cells);
  // The process of `slot` has ended. As, and just before, the functions of the same name of Region.
  void reclaim_dead(std::uint32_t slot);
  void forget(std::uint32_t slot);

  // Connections the generation of `slot` says it holds, beside Region::connections_of().
  std::uint64_t connections_of(std::uint32_t slot) const;
  // What the region had no room for: merge() it into a snapshot.
  std::vector<MetricSample> samples() const;

 private:
  struct Kept {
    MetricSample sample;
    std::uint64_t users = 0;  // bit i: slot i
  };
  struct GaugeShare {  // of one slot in one gauge
    MetricDescription description;
    std::int64_t value = 0;
  };

  bool apply(std::uint32_t slot, const MetricDescription& description,
             std::span<const std::int64_t> cells);
  bool keep(std::uint32_t slot, const MetricDescription& description,
            std::span<const std::int64_t> cells);

  Region* region_;
  const Lane* lane_;
  std::map<std::string, Kept> kept_;  // by full name
  std::map<std::pair<std::uint32_t, std::string>, GaugeShare> shares_;
};

}  // namespace baton::region
