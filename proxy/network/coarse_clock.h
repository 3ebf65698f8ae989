// The monotonic clock at the resolution of a kernel tick (1 to 10 ms), read without a system call
// in a few nanoseconds: for "when was this connection last used". All processes of a machine share
// it. Source: clock_gettime(2), CLOCK_MONOTONIC_COARSE. Thread: any.
#pragma once

#include <chrono>
#include <ctime>

namespace baton::proxy {

struct CoarseClock {
  using duration = std::chrono::milliseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<CoarseClock>;
  static constexpr bool is_steady = true;

  static time_point now() {
    timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
    return time_point(duration(time.tv_sec * 1000 + time.tv_nsec / 1'000'000));
  }
};

}  // namespace baton::proxy
