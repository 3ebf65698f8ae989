// How many connections a worker holds. Who reads that one has gone also sees it in the statistics.
// Thread: its worker's; count() any.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <utility>

namespace baton::proxy {

class HeldConnections {
 public:
  void add() { count_.store(count() + 1, std::memory_order_relaxed); }
  void remove() {
    count_.store(count() - 1, std::memory_order_release);
    if (count() == 0 && on_empty_) on_empty_();
  }
  std::uint64_t count() const { return count_.load(std::memory_order_acquire); }

  // Called at once if there are none, and each time the last one goes; nullptr: no longer.
  void watch_empty(std::function<void()> on_empty) {
    on_empty_ = std::move(on_empty);
    if (count() == 0 && on_empty_) on_empty_();
  }

 private:
  std::atomic<std::uint64_t> count_ = 0;  // one writer
  std::function<void()> on_empty_;
};

}  // namespace baton::proxy
