// Counts that reach the supervisor by message, and that the region has no room for: kept in its own
// memory, and exported from there, as long as a generation uses them.
//
// Thread: the supervisor's. Borrows: the metrics, which go on with the supervisor after this one.
// Invariant: what each slot has added to a gauge is known, and taken back when its process has
// ended.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "shared/region/layout.h"
#include "shared/region/sample.h"

namespace baton::region {

struct KeptMetric {
  MetricSample sample;
  // By slot: who uses it, and its share of the value if that is a gauge, else 0.
  std::map<std::uint32_t, std::int64_t> users;
};

using KeptMetrics = std::map<std::string, KeptMetric>;  // by full name

// False for the change of a metric that makes no sense: of no known kind or unit, without a name,
// with the wrong number of cells for the kind (a histogram of another layout), or a count that goes
// down.
bool is_well_formed(const MetricDescription& description, std::span<const std::int64_t> cells);

class KeptCounts {
 public:
  explicit KeptCounts(KeptMetrics& metrics) : metrics_(metrics) {}

  // One that is kept here once stays here, whatever room there is in the region later: so that its
  // gauges are taken back from where they were added.
  bool holds(const MetricDescription& description) const {
    return !metrics_.empty() && metrics_.contains(full_name(description));
  }
  // Adds a well-formed change. False, and nothing is changed: the name is in use for another kind.
  bool add(std::uint32_t slot, const MetricDescription& description,
           std::span<const std::int64_t> cells);
  // The process of `slot` has ended. As, and beside, the functions of the same name of Region.
  void reclaim_dead(std::uint32_t slot);
  void forget(std::uint32_t slot);
  // All gauges will be reported anew.
  void forget_gauges();

  // merge() it into a snapshot.
  std::vector<MetricSample> samples() const;

 private:
  KeptMetrics& metrics_;
};

}  // namespace baton::region
