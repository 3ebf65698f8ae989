#include "shared/os/loop_backend.h"

#include <doctest/doctest.h>
#include <ev++.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>

#include "shared/os/unique_fd.h"
#include "tests/unit/open_fds.h"

using namespace baton;
using namespace baton::os;

namespace {

void count_event(ev::io& watcher, int) { ++*static_cast<int*>(watcher.data); }

}  // namespace

TEST_CASE("loop backend: finds the loop's epoll descriptor and leaves nothing behind") {
  ev::dynamic_loop loop{static_cast<unsigned>(ev::EPOLL)};
  const auto before = test::open_fds();
  const int epoll = loop_epoll_fd(loop);
  CHECK(test::open_fds() == before);
  REQUIRE(epoll >= 0);
  epoll_event event{};
  CHECK(::epoll_wait(epoll, &event, 1, 0) == 0);  // it is one: anything else is EINVAL
}

TEST_CASE("loop backend: a loop on something else has none") {
  ev::dynamic_loop loop{static_cast<unsigned>(ev::SELECT)};
  CHECK(loop_epoll_fd(loop) == -1);
}

TEST_CASE(
    "forget fd: events end although the open file lives on, and libev copes with the number") {
  ev::dynamic_loop loop{static_cast<unsigned>(ev::EPOLL)};
  const int epoll = loop_epoll_fd(loop);
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
  UniqueFd reader(ends[0]);
  const UniqueFd writer(ends[1]);
  const UniqueFd elsewhere(::dup(reader.get()));
  int events = 0;
  ev::io watcher(loop);
  watcher.set<&count_event>(&events);
  watcher.start(reader.get(), ev::READ);
  REQUIRE(::write(writer.get(), "x", 1) == 1);
  loop.run(ev::NOWAIT);
  CHECK(events == 1);

  watcher.stop();
  forget_fd(epoll, reader.get());
  const int number = reader.get();
  reader.reset();
  epoll_event event{};
  CHECK(::epoll_wait(epoll, &event, 1, 0) == 0);

  REQUIRE(::dup3(elsewhere.get(), number, O_CLOEXEC) == number);
  reader.reset(number);
  watcher.start(number, ev::READ);
  loop.run(ev::NOWAIT);
  CHECK(events == 2);
}

TEST_CASE("forget fd: nothing to forget is no error, and errno stays") {
  ev::dynamic_loop loop{static_cast<unsigned>(ev::EPOLL)};
  errno = EXDEV;
  forget_fd(loop_epoll_fd(loop), 0);
  forget_fd(-1, 0);
  forget_fd(0, -1);
  CHECK(errno == EXDEV);
}

TEST_CASE("loop backend: forgets in whichever epoll set libev has made") {
  UniqueFd lower(::dup(0));
  REQUIRE(lower.valid());
  ev::dynamic_loop loop{static_cast<unsigned>(ev::EPOLL)};
  const int before = loop_epoll_fd(loop);
  LoopBackend backend(loop);
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
  const UniqueFd reader(ends[0]);
  const UniqueFd writer(ends[1]);
  REQUIRE(::write(writer.get(), "x", 1) == 1);
  int events = 0;
  ev::io watcher(loop);
  watcher.set<&count_event>(&events);
  SUBCASE("because it was told to") { ev_loop_fork(loop); }
  SUBCASE("because of an event that it cannot explain") {
    UniqueFd copy(::dup(reader.get()));
    ev::io stray(loop);
    stray.set<&count_event>(&events);
    stray.start(copy.get(), ev::READ);
    loop.run(ev::NOWAIT);
    stray.stop();
    copy.reset();
    loop.run(ev::NOWAIT);
  }
  lower.reset();  // the new one gets a number of its own
  watcher.start(reader.get(), ev::READ);
  loop.run(ev::NOWAIT);
  const int after = loop_epoll_fd(loop);
  REQUIRE(after != before);
  epoll_event event{};
  REQUIRE(::epoll_wait(after, &event, 1, 0) == 1);

  watcher.stop();
  backend.forget(reader.get());
  CHECK(::epoll_wait(after, &event, 1, 0) == 0);
}

TEST_CASE("loop backend: a loop that has nothing else to do ends") {
  ev::dynamic_loop loop{static_cast<unsigned>(ev::EPOLL)};
  const LoopBackend backend(loop);
  loop.run();
  ev_loop_fork(loop);
  loop.run();
  CHECK(loop_epoll_fd(loop) >= 0);
}
