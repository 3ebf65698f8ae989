// Whether max_connections keeps clients of a listener waiting, as all its workers see it together:
// so that it is counted once, not once by each worker that comes across it; and whether it may only
// seem to be reached, because a connection that moves is counted in both generations for a moment,
// or because several workers look whether there is a place at once.
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

  // A worker takes a place before it looks whether there was one, and others count that place, too.
  // This lasts until a client has it, or it is given back.
  class Look {
   public:
    explicit Look(ConnectionLimit& limit)
        : looks_(limit.looks_), before_(looks_.fetch_add(kBegun + 1, std::memory_order_acq_rel)) {
      // Who counts the place that is taken next knows of this look.
      std::atomic_thread_fence(std::memory_order_release);
    }
    ~Look() { looks_.fetch_sub(1, std::memory_order_release); }
    Look(const Look&) = delete;
    Look& operator=(const Look&) = delete;

    // No other worker of this process has looked meanwhile: all other places were clients', but
    // for those of another generation's workers.
    bool was_alone() const {
      std::atomic_thread_fence(std::memory_order_acquire);
      const std::uint64_t now = looks_.load(std::memory_order_relaxed);
      return before_ % kBegun == 0 && now / kBegun == (before_ + kBegun) / kBegun;
    }

   private:
    std::atomic<std::uint64_t>& looks_;
    const std::uint64_t before_;
  };

  // A connection from the generation before, which counts it, too, until the commit and a moment
  // longer. One that is neither committed nor given up for long is doubted no more: that generation
  // may have stopped in between.
  void arrives() {
    begun_.store(now(), std::memory_order_relaxed);
    arriving_.fetch_add(1, std::memory_order_release);
  }
  void has_arrived() {
    ended_.store(now(), std::memory_order_relaxed);
    arriving_.fetch_sub(1, std::memory_order_release);
  }
  bool counts_twice() const {
    const bool arriving = arriving_.load(std::memory_order_acquire) > 0;
    return (arriving && is_recent(begun_, kLongestArrival)) || is_recent(ended_, kMoment);
  }

  // Far more than a round trip between two workers.
  static constexpr std::chrono::milliseconds kLongestArrival{500};

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::uint64_t kBegun = std::uint64_t{1} << 32;
  // For the generation before to let go of a batch, be it that it does not run at once.
  static constexpr std::chrono::milliseconds kMoment{50};

  static Clock::rep now() { return Clock::now().time_since_epoch().count(); }
  static bool is_recent(const std::atomic<Clock::rep>& then, Clock::duration time) {
    return now() - then.load(std::memory_order_relaxed) < time.count();
  }

  std::atomic<bool> reached_ = false;
  std::atomic<std::uint64_t> looks_ = 0;  // those begun, times kBegun, and those that last
  std::atomic<std::uint32_t> arriving_ = 0;
  // When the last one did.
  std::atomic<Clock::rep> begun_ = 0;
  std::atomic<Clock::rep> ended_ = 0;
};

}  // namespace baton::proxy
