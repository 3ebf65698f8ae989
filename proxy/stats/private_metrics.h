// Metrics that are counted in the memory of this process: what does not fit into the region, or
// may not go there because its layout is another. Grows as needed, so that resolve() cannot fail.
//
// Thread: any; one mutex guards everything but the counting itself. Outlives its lanes.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "shared/region/sample.h"

namespace baton::proxy {

class PrivateMetrics {
 public:
  // One thread's cells. When destroyed its counters go into the totals, its gauges are dropped.
  class Lane {
   public:
    explicit Lane(PrivateMetrics* metrics);
    Lane(const Lane&) = delete;
    Lane& operator=(const Lane&) = delete;
    ~Lane();
    // Neighbouring cells that one resolve() returned; stay where they are.
    region::Cell* cells(std::uint32_t first, std::uint32_t count);

   private:
    friend class PrivateMetrics;
    std::uint64_t read(std::uint32_t cell) const;

    PrivateMetrics* metrics_;
    std::vector<std::unique_ptr<region::Cell[]>> chunks_;
  };

  struct Resolved {
    std::uint32_t first_cell;
    bool is_new;
  };
  // The metric of this name, labels and kind, made when there is none.
  Resolved resolve(const region::MetricDescription& description);
  std::uint64_t sum(std::uint32_t cell) const;

  // Somebody else counts this change as well from now on. Gauges will be reported anew: nobody
  // does.
  void note_reported(const region::MetricDescription& description,
                     std::span<const std::uint64_t> change);
  void forget_reported_gauges();
  // The same as sum() and samples(), without what was reported.
  std::uint64_t unreported_sum(std::uint32_t cell) const;
  std::vector<region::MetricSample> unreported_samples() const;

  std::vector<region::MetricSample> samples() const;

 private:
  struct Metric {
    region::MetricDescription description;
    std::uint32_t first_cell;
  };

  enum class Part { All, Unreported };
  std::uint64_t locked_sum(std::uint32_t cell, Part part) const;
  std::vector<region::MetricSample> samples_of(Part part) const;
  static std::string key_of(const region::MetricDescription& description);

  mutable std::mutex mutex_;
  std::vector<Metric> metrics_;
  std::map<std::string, std::uint32_t> first_cells_;
  std::uint32_t cells_used_ = 0;
  std::vector<const Lane*> lanes_;
  std::vector<std::uint64_t> retired_;   // what ended lanes counted, by cell; may be short
  std::vector<std::uint64_t> reported_;  // by cell; may be short
};

}  // namespace baton::proxy
