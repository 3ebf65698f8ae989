// Whether max_connections keeps clients of a listener waiting, as all its workers see it together:
// so that it is counted once, not once by each worker that comes across it; and whether it may only
// seem to be reached, because a connection that moves is counted in both generations for a moment.
// Thread: any. One per listener of a process.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace baton::proxy {

class ConnectionLimit {
 public:
  // A client waits because the limit is reached. True: nobody has said so since the last leave().
  bool reach() { return !reached_.exchange(true, std::memory_order_relaxed); }
  // There was room for a client. Usually nothing but a read.
  void leave() {
    if (reached_.load(std::memory_order_relaxed)) reached_.store(false, std::memory_order_relaxed);
  }

  // A connection from the generation before, which counts it, too, until the commit and a moment
  // longer.
  void arrives() { arriving_.fetch_add(1, std::memory_order_relaxed); }
  void has_arrived() {
    last_.store(Clock::now().time_since_epoch().count(), std::memory_order_relaxed);
    arriving_.fetch_sub(1, std::memory_order_release);
  }
  bool counts_twice() const {
    if (arriving_.load(std::memory_order_acquire) > 0) return true;
    const Clock::time_point last{Clock::duration(last_.load(std::memory_order_relaxed))};
    return Clock::now() - last < kMoment;
  }

 private:
  using Clock = std::chrono::steady_clock;
  // For the generation before to let go of a batch, be it that it does not run at once.
  static constexpr std::chrono::milliseconds kMoment{50};

  std::atomic<bool> reached_ = false;
  std::atomic<std::uint32_t> arriving_ = 0;
  std::atomic<Clock::rep> last_ = 0;
};

}  // namespace baton::proxy
