// What the writer threads of access logs count, in one lane for all of them.
// Thread: any: the lock makes them one writer at a time, as a lane demands.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>

#include "proxy/stats/stats_store.h"

namespace baton::proxy::http {

class WriterCounts {
 public:
  explicit WriterCounts(std::unique_ptr<StatsLane> lane) : lane_(std::move(lane)) {}

  // The cell's handle is kept by the caller.
  region::Counter counter(region::MetricId id) {
    const std::scoped_lock lock(mutex_);
    return lane_->counter(id);
  }
  void add(region::Counter counter, std::uint64_t n) {
    const std::scoped_lock lock(mutex_);
    if (lane_ != nullptr && n != 0) counter.add(n);
  }
  // Gives the lane back: a thread that hangs in a write counts nothing any more.
  void close() {
    const std::scoped_lock lock(mutex_);
    lane_.reset();
  }

 private:
  std::mutex mutex_;
  std::unique_ptr<StatsLane> lane_;  // guarded by mutex_
};

}  // namespace baton::proxy::http
