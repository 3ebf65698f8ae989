#include "proxy/worker/loop_clock.h"

#include <doctest/doctest.h>

#include <vector>

#include "proxy/worker/event_loop.h"

namespace baton::proxy {

TEST_CASE("loop clock: it stands still for an iteration, and never goes back") {
  EventLoop loop;
  LoopClock clock(loop.ref());
  std::vector<LoopClock::Clock::time_point> seen;
  constexpr std::size_t kTimes = 6;
  const auto look = [&] {
    const LoopClock::Clock::time_point now = clock.now();
    while (LoopClock::Clock::now() == now) {
    }
    CHECK(clock.now() == now);
    seen.push_back(now);
  };
  EventLoop::Task again = [&] {
    look();
    seen.size() < kTimes ? loop.post(again) : loop.stop();
  };
  loop.post(again);
  const auto before = LoopClock::Clock::now();
  loop.run();
  REQUIRE(seen.size() == kTimes);
  CHECK(seen.front() >= before);
  for (std::size_t i = 1; i < kTimes; ++i) CHECK(seen[i] > seen[i - 1]);
}

}  // namespace baton::proxy
