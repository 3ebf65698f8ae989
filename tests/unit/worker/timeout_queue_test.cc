#include "proxy/worker/timeout_queue.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <ctime>
#include <functional>
#include <memory>
#include <vector>

#include "tests/unit/fixture/loop_driver.h"

using namespace baton;
using namespace std::chrono_literals;
using proxy::CoarseClock;

namespace {

// Timeouts of one queue that note in which order they expire.
struct Waiting {
  explicit Waiting(std::chrono::milliseconds time = 100ms) : queue(loop.ref(), time) {}

  struct One {
    void expire() { order->push_back(number); }
    int number;
    std::vector<int>* order;
    proxy::Timeout timeout;
  };

  One& add(int number) {
    One& one = *all.emplace_back(std::make_unique<One>(number, &expired));
    one.timeout.set<One, &One::expire>(&one);
    return one;
  }
  bool have_expired(std::size_t count) {
    return fixture::run_until(loop, [&] { return expired.size() == count; });
  }

  proxy::EventLoop loop;
  proxy::TimeoutQueue queue;
  std::vector<int> expired;
  std::vector<std::unique_ptr<One>> all;
};

}  // namespace

TEST_CASE("timeout queue: those armed in the past expire in the order of their time") {
  Waiting waiting;
  const auto now = CoarseClock::now();
  waiting.queue.arm(waiting.add(1).timeout);
  waiting.queue.arm(waiting.add(2).timeout, now - 40ms);
  waiting.queue.arm(waiting.add(3).timeout, now - 80ms);
  waiting.queue.arm(waiting.add(4).timeout, now - 20ms);
  REQUIRE(waiting.have_expired(4));
  CHECK(waiting.expired == std::vector{3, 2, 4, 1});
}

TEST_CASE("timeout queue: what remains of a time is all that is waited for") {
  Waiting waiting(10s);
  const auto begin = CoarseClock::now();
  waiting.queue.arm(waiting.add(1).timeout, begin - 10s + 40ms);
  REQUIRE(waiting.have_expired(1));
  const auto took = CoarseClock::now() - begin;
  CHECK(took >= 40ms);
  CHECK(took < 10s);
}

TEST_CASE("timeout queue: one that is overdue expires at once, ahead of a timer that runs") {
  Waiting waiting(1min);
  waiting.queue.arm(waiting.add(1).timeout);
  waiting.queue.arm(waiting.add(2).timeout, CoarseClock::now() - 1h);
  fixture::settle(waiting.loop);
  CHECK(waiting.expired == std::vector{2});
  CHECK(waiting.all[0]->timeout.armed());
}

TEST_CASE("timeout queue: many are armed quickly, whatever the order of their times") {
  constexpr int kMany = 50'000;
  Waiting waiting;
  for (int i = 0; i < kMany; ++i) waiting.add(i);
  const auto now = CoarseClock::now();
  const std::clock_t begin = std::clock();
  for (int i = 0; i < kMany; ++i) waiting.queue.arm(waiting.all[i]->timeout, now - 1ms * i);
  const auto spent = std::clock() - begin;
  CHECK(spent < CLOCKS_PER_SEC);
  REQUIRE(waiting.have_expired(kMany));
  CHECK(std::ranges::is_sorted(waiting.expired, std::greater()));
}
