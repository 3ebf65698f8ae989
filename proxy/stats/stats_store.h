// The statistics of one process: the region it shares with the other generations, and private
// memory for what does not fit there (the region is full) or may not go there (another layout).
//
// Two levels of cache: the main thread resolves a name to a MetricId once; each worker turns it
// into a handle on its own lane once; counting touches only that cell. Thread: resolve() and the
// reporting calls: main. claim_lane() and sum(): any. Outlives its lanes.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shared/os/error.h"
#include "shared/os/unique_fd.h"
#include "shared/region/layout.h"
#include "shared/region/metric.h"
#include "shared/region/sample.h"

namespace baton::region {
class Region;
}

namespace baton::proxy {

// One thread's cells. Released when destroyed: counters stay, gauges are zeroed. A gauge that one
// lane of a process adds to and another takes from is right as long as both lanes live.
class StatsLane {
 public:
  virtual ~StatsLane() = default;
  virtual region::Counter counter(region::MetricId id) = 0;
  virtual region::Gauge gauge(region::MetricId id) = 0;
  virtual region::Histogram histogram(region::MetricId id) = 0;
  // Connections held, of any kind: what `status` shows for this generation.
  virtual region::Gauge held() = 0;
};

class StatsStore {
 public:
  // `region_fd` invalid: all memory is private (standalone, or another layout).
  // A region that cannot be used (damaged, not one at all) is logged, and all memory is private
  // then, too. `slot` is this generation's place in the region's generation table, `layout` the one
  // this program is built for. Error: there is no such slot.
  static os::Result<std::unique_ptr<StatsStore>> open(
      os::UniqueFd region_fd, std::uint32_t slot, std::uint64_t layout = region::kLayoutVersion);
  virtual ~StatsStore() = default;

  // The region, for its runtime part; null: all memory is private. And this process's slot there.
  virtual region::Region* region() = 0;
  virtual std::uint32_t slot() const = 0;

  // Never fails: when the region is full, or its lock is not to be had, it is private memory.
  virtual region::MetricId resolve(const region::MetricDescription& description) = 0;
  virtual std::unique_ptr<StatsLane> claim_lane() = 0;
  // The sum over all lanes (all live generations' when in the region): for limits.
  virtual std::uint64_t sum(region::MetricId id) const = 0;

  // What private memory holds now, absolute, for StatsDelta reports and for standalone export.
  using PrivateMetric = region::MetricSample;
  virtual std::vector<PrivateMetric> private_metrics() const = 0;
  // The supervisor has counted this change of a private metric, so that it is not to be added to
  // what the region holds any more; but gauges, once it will be told of them anew.
  virtual void note_reported(const region::MetricDescription& description,
                             std::span<const std::uint64_t> change) = 0;
  virtual void forget_reported_gauges() = 0;

  // Connections from the generation before, and to the next one: for this generation's row in the
  // region, or for StatsDelta reports. Any thread.
  virtual void count_moved_in(std::uint64_t connections) = 0;
  virtual void count_moved_out(std::uint64_t connections) = 0;
  struct Moves {
    std::uint64_t in = 0;
    std::uint64_t out = 0;
  };
  // Those that the region has no row for.
  virtual Moves private_moves() const = 0;

  // Text of everything this process can see.
  virtual std::string prometheus_text() const = 0;
};

}  // namespace baton::proxy
