#include "proxy/worker/event_loop.h"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/fixture/loop_driver.h"
#include "tests/unit/fixture/sockets.h"

using namespace baton;
using namespace baton::fixture;
using proxy::EventLoop;

TEST_CASE("event loop: tasks posted by several threads all run, each thread's in its order") {
  constexpr int kThreads = 4;
  constexpr int kTasks = 5000;
  EventLoop loop;
  std::vector<std::vector<int>> seen(kThreads);
  std::vector<std::thread> posters;
  for (int t = 0; t < kThreads; ++t) {
    posters.emplace_back([&, t] {
      for (int i = 0; i < kTasks; ++i) {
        loop.post([&seen, t, i] { seen[static_cast<std::size_t>(t)].push_back(i); });
      }
    });
  }
  REQUIRE(run_until(loop, [&] {
    std::size_t count = 0;
    for (const auto& tasks : seen) count += tasks.size();
    return count == kThreads * kTasks;
  }));
  for (std::thread& poster : posters) poster.join();
  for (const auto& tasks : seen) {
    for (int i = 0; i < kTasks; ++i) REQUIRE(tasks[static_cast<std::size_t>(i)] == i);
  }
}

TEST_CASE("event loop: what was posted before stop() has run when run() returns") {
  EventLoop loop;
  int ran = 0;
  std::thread runner([&] { loop.run(); });
  for (int i = 0; i < 1000; ++i) loop.post([&] { ++ran; });
  loop.stop();
  runner.join();
  CHECK(ran == 1000);
}

TEST_CASE("event loop: stop() before run() is not lost") {
  EventLoop loop;
  loop.stop();
  loop.run();
  CHECK(true);
}

TEST_CASE("event loop: a task may post another, which runs in a later iteration") {
  EventLoop loop;
  std::string order;
  loop.post([&] {
    loop.post([&] { order += "c"; });
    order += "a";
  });
  loop.post([&] { order += "b"; });
  CHECK(run_until(loop, [&] { return order.size() == 3; }));
  CHECK(order == "abc");
}

TEST_CASE("event loop: tasks that never ran are destroyed with the loop") {
  const auto held = std::make_shared<int>(1);
  {
    EventLoop loop;
    loop.post([held] {});
    CHECK(held.use_count() == 2);
  }
  CHECK(held.use_count() == 1);
}

TEST_CASE(
    "event loop: a forgotten descriptor raises no event although another holds the open file") {
  EventLoop loop;
  auto [ours, theirs] = make_socketpair();
  const os::UniqueFd copy(::dup(ours.get()));
  struct Count {
    int events = 0;
    void add(ev::io&, int) { ++events; }
  } count;
  ev::io watcher(loop.ref());
  watcher.set<Count, &Count::add>(&count);
  watcher.start(ours.get(), ev::READ);
  REQUIRE(::send(theirs.get(), "x", 1, 0) == 1);
  REQUIRE(run_until(loop, [&] { return count.events > 0; }));
  watcher.stop();
  EventLoop::forget_fd(loop.ref(), ours.get());
  const int number = ours.get();
  ours.reset();

  // The number is used again, by something else that is silent: no stray event may reach it.
  auto [silent, other] = make_socketpair();
  os::UniqueFd same(::dup2(silent.get(), number));
  count.events = 0;
  watcher.start(same.get(), ev::READ);
  settle(loop);
  CHECK(count.events == 0);
  REQUIRE(::send(other.get(), "y", 1, 0) == 1);
  CHECK(run_until(loop, [&] { return count.events > 0; }));
  watcher.stop();
}
