#include "proto/send_queue.h"

#include <doctest/doctest.h>

#include <cerrno>

#include "tests/unit/open_fds.h"

using namespace baton;
using namespace baton::proto;

TEST_CASE("send queue: sends in order, with copies of the descriptors, up to the limit") {
  auto ends = make_pair();
  REQUIRE(ends);
  const auto before = baton::test::open_fds();
  SendQueue queue;
  const int fds[] = {ends->first.get(), ends->second.get()};
  REQUIRE(queue.push("one", {}, 1));
  REQUIRE(queue.push("three", fds, 0));
  CHECK(queue.bytes() == 8);
  CHECK(queue.fds() == 2);
  CHECK(baton::test::open_fds().size() == before.size() + 2);

  CHECK(queue.flush(ends->first.get(), 1) == IoStatus::Done);
  CHECK(queue.bytes() == 5);
  CHECK(queue.flush(ends->first.get(), 5) == IoStatus::Done);
  CHECK(queue.empty());
  CHECK(queue.bytes() == 0);
  CHECK(queue.fds() == 0);
  CHECK(baton::test::open_fds() == before);

  Datagram datagram;
  REQUIRE(receive_datagram(ends->second.get(), datagram) == IoStatus::Done);
  CHECK(datagram.bytes == "one");
  REQUIRE(receive_datagram(ends->second.get(), datagram) == IoStatus::Done);
  CHECK(datagram.bytes == "three");
  CHECK(datagram.fds.size() == 2);
}

TEST_CASE("send queue: what stops it stays in front") {
  auto ends = make_pair();
  REQUIRE(ends);
  SendQueue queue;
  for (int i = 0; i < 1000; ++i) REQUIRE(queue.push(std::string(1000, 'x'), {}, 0));
  CHECK(queue.flush(ends->first.get(), 1000) == IoStatus::WouldBlock);
  const std::size_t left = queue.bytes();
  CHECK(left > 0);
  CHECK(left < 1'000'000);
  CHECK(queue.flush(ends->first.get(), 1) == IoStatus::WouldBlock);
  CHECK(queue.bytes() == left);
}

TEST_CASE("send queue: withdraws a request and nothing else") {
  SendQueue queue;
  const auto before = baton::test::open_fds();
  const int fds[] = {0};
  REQUIRE(queue.push("event", {}, 0));
  REQUIRE(queue.push("request", fds, 5));
  CHECK_FALSE(queue.withdraw(0));
  CHECK_FALSE(queue.withdraw(4));
  CHECK(queue.withdraw(5));
  CHECK_FALSE(queue.withdraw(5));
  CHECK(queue.bytes() == 5);
  CHECK(queue.fds() == 0);
  CHECK(baton::test::open_fds() == before);
}

TEST_CASE("send queue: a descriptor that cannot be copied leaves the queue as it was") {
  SendQueue queue;
  const auto before = baton::test::open_fds();
  const int fds[] = {0, 1 << 20};
  const auto pushed = queue.push("x", fds, 0);
  REQUIRE_FALSE(pushed);
  CHECK(pushed.error().code == EBADF);
  CHECK(queue.empty());
  CHECK(queue.bytes() == 0);
  CHECK(baton::test::open_fds() == before);
}
