// One thread's lane: where it counts. Given back when destroyed: counters and histograms stay for
// the next owner to go on from, gauges are zeroed.
//
// Thread: the one that counts; destroyed by it, or after it has ended. Borrows: the region.
#pragma once

#include <cstdint>
#include <utility>

#include "shared/region/metric.h"

namespace baton::region {

class Region;

class Lane {
 public:
  Lane(Region* region, std::uint32_t number) : region_(region), number_(number) {}
  Lane(Lane&& other) noexcept
      : region_(std::exchange(other.region_, nullptr)), number_(other.number_) {}
  Lane& operator=(Lane&&) = delete;
  ~Lane();

  std::uint32_t number() const { return number_; }

  // `first_cell` from a MetricId of this region, of the right kind.
  Counter counter(std::uint32_t first_cell) const { return Counter(cells(first_cell, 1)); }
  Gauge gauge(std::uint32_t first_cell) const { return Gauge(cells(first_cell, 1)); }
  Histogram histogram(std::uint32_t first_cell) const {
    return Histogram(cells(first_cell, kHistogramCells));
  }
  // Connections held: the gauge that `status` reads for each generation.
  Gauge held() const;
  Cell* cells(std::uint32_t first_cell, std::uint32_t count) const;

 private:
  Region* region_;
  std::uint32_t number_;
};

}  // namespace baton::region
