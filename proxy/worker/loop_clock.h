// The steady clock as one iteration of a loop sees it: read once, when it is asked first. Asking
// the system is felt where each request does so four times. Differences are true to the time that
// one iteration takes.
// Thread: the loop's.
#pragma once

#include <ev++.h>

#include <chrono>
#include <optional>

namespace baton::proxy {

class LoopClock {
 public:
  using Clock = std::chrono::steady_clock;

  explicit LoopClock(ev::loop_ref loop) : loop_(loop) {}

  Clock::time_point now() {
    if (const unsigned iteration = loop_.iteration(); read_in_ != iteration) {
      read_in_ = iteration;
      now_ = Clock::now();
    }
    return now_;
  }

 private:
  ev::loop_ref loop_;
  std::optional<unsigned> read_in_;
  Clock::time_point now_;
};

}  // namespace baton::proxy
