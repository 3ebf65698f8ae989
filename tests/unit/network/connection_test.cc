#include "proxy/network/connection.h"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <cerrno>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tests/unit/fixture/loop_driver.h"
#include "tests/unit/fixture/sockets.h"

using namespace baton;
using namespace baton::fixture;
using namespace baton::proxy;

namespace {

struct Leg final : ConnectionSink {
  Leg() {
    auto [ours, theirs] = make_socketpair();
    state.fd = std::move(ours);
    peer = TestPeer(std::move(theirs));
    connection.emplace(loop.ref(), state, scratch, counters, *this);
    connection->start();
  }
  void on_received(Buffer& data, EndOfStream end) override {
    received += data.view();
    ended = ended || end == EndOfStream::Yes;
    if (close_on_data) connection->close();
  }
  void on_failed() override { ++failures; }
  void on_write_failed(int error) override { write_errors.push_back(error); }
  void on_flushed() override { ++flushes; }

  WriteStatus write(std::string_view bytes, EndOfStream end = EndOfStream::No) {
    Buffer data;
    data.append(bytes);
    const WriteStatus status = connection->write(data, end);
    CHECK(data.empty());
    return status;
  }
  bool until(const std::function<bool()>& happened) { return run_until(loop, happened); }

  EventLoop loop;
  Buffer scratch{1000};
  region::Cell cells[2] = {};
  ByteCounters counters{.received = region::Counter(&cells[0]), .sent = region::Counter(&cells[1])};
  LegState state;
  TestPeer peer;
  std::optional<Connection> connection;
  std::string received;
  bool ended = false;
  bool close_on_data = false;
  std::vector<int> write_errors;
  int failures = 0;
  int flushes = 0;
};

}  // namespace

TEST_CASE(
    "connection: what the peer sends is received, more than the scratch buffer piece by piece") {
  Leg leg;
  const std::string bytes = pattern(50'000, 12);
  leg.peer.write(bytes);
  CHECK(leg.until([&] { return leg.received.size() == bytes.size(); }));
  CHECK(leg.received == bytes);
  CHECK(leg.state.received_bytes == bytes.size());
  CHECK(leg.cells[0] == bytes.size());
  CHECK(leg.scratch.capacity() == 1000);
}

TEST_CASE("connection: a write that the kernel takes leaves no buffer behind") {
  Leg leg;
  CHECK(leg.write("hello") == WriteStatus::Ok);
  CHECK(leg.state.unsent.capacity() == 0);
  CHECK_FALSE(leg.connection->full());
  leg.peer.read();
  CHECK(leg.peer.received() == "hello");
  CHECK(leg.cells[1] == 5);
}

TEST_CASE(
    "connection: what the kernel does not take waits, in order, and its memory is freed after") {
  Leg leg;
  const std::string bytes = pattern(3'000'000, 13);
  CHECK(leg.write(bytes) == WriteStatus::Ok);
  CHECK(leg.connection->full());
  CHECK(leg.write("tail") == WriteStatus::Ok);
  CHECK(leg.flushes == 0);
  REQUIRE(leg.until([&] {
    leg.peer.read();
    return leg.peer.received().size() == bytes.size() + 4;
  }));
  CHECK(leg.peer.received() == bytes + "tail");
  CHECK(leg.until([&] { return leg.flushes == 1; }));
  CHECK_FALSE(leg.connection->full());
  CHECK(leg.state.unsent.capacity() == 0);
}

TEST_CASE("connection: an end follows the bytes that wait, reading goes on after it") {
  Leg leg;
  const std::string bytes = pattern(3'000'000, 14);
  CHECK(leg.write(bytes, EndOfStream::Yes) == WriteStatus::Ok);
  CHECK_FALSE(leg.state.write_ended);
  REQUIRE(leg.until([&] { return leg.peer.read() == Peer::Ended; }));
  CHECK(leg.peer.received() == bytes);
  CHECK(leg.state.write_ended);
  leg.peer.write("still here");
  CHECK(leg.until([&] { return leg.received == "still here"; }));
  leg.peer.end();
  CHECK(leg.until([&] { return leg.ended; }));
  CHECK(leg.state.ended());
}

TEST_CASE("connection: nothing is read while any reason to pause is left") {
  Leg leg;
  leg.connection->pause(PauseReason::Filter);
  leg.connection->pause(PauseReason::FilterHold);
  leg.peer.write("later");
  settle(leg.loop);
  CHECK(leg.received.empty());
  leg.connection->resume(PauseReason::Filter);
  settle(leg.loop);
  CHECK(leg.received.empty());
  leg.connection->resume(PauseReason::FilterHold);
  CHECK(leg.until([&] { return leg.received == "later"; }));
}

TEST_CASE(
    "connection: writing to a peer that has gone fails; what it had sent is still delivered") {
  Leg leg;
  leg.peer.write("last words");
  leg.peer.close();
  CHECK(leg.write("anyone?") == WriteStatus::Failed);
  struct Row {
    int error;
    bool in_order;
  };
  const Row rows[] = {{ECONNRESET, false}, {ETIMEDOUT, false}, {0, false}, {EPIPE, true}};
  for (const Row& row : rows) {
    CAPTURE(row.error);
    leg.connection->deliver_rest(row.error);
    CHECK(leg.received == "last words");
    CHECK(leg.ended == row.in_order);
    CHECK(leg.state.read_ended == row.in_order);
  }
}

TEST_CASE("connection: a peer that goes while bytes wait is a failure, reported once") {
  Leg leg;
  CHECK(leg.write(pattern(3'000'000, 15)) == WriteStatus::Ok);
  leg.peer.close();
  CHECK(leg.until([&] { return leg.failures == 1; }));
  settle(leg.loop);
  CHECK(leg.failures == 1);
}

TEST_CASE("connection: closing within its own callback is safe") {
  Leg leg;
  leg.close_on_data = true;
  leg.peer.write("stop");
  CHECK(leg.until([&] { return leg.peer.read() == Peer::Ended; }));
  settle(leg.loop);
  CHECK(leg.received == "stop");
  CHECK_FALSE(leg.state.fd.valid());
}

TEST_CASE("connection: an end that is written while frozen goes out after thaw") {
  Leg leg;
  CHECK(leg.connection->freeze());
  CHECK(leg.write("waits", EndOfStream::Yes) == WriteStatus::Ok);
  leg.peer.read();
  CHECK(leg.peer.received().empty());
  CHECK(leg.state.unsent.view() == "waits");
  leg.connection->thaw();
  CHECK(leg.until([&] { return leg.peer.read() == Peer::Ended; }));
  CHECK(leg.peer.received() == "waits");
}

// --- within an iteration of the loop -----------------------------------------------------------

namespace {

void in_an_iteration(Leg& leg, const std::function<void()>& task) {
  REQUIRE(run_in_an_iteration(leg.loop, task));
}

}  // namespace

TEST_CASE("connection: small writes of one iteration leave at its end, in one piece") {
  Leg leg;
  in_an_iteration(leg, [&] {
    CHECK(leg.connection->write("one,") == WriteStatus::Ok);
    CHECK(leg.connection->write("two") == WriteStatus::Ok);
    CHECK_FALSE(leg.connection->all_sent());
    CHECK(leg.state.sent_bytes == 7);
    leg.peer.read();
    CHECK(leg.peer.received().empty());
  });
  CHECK(leg.connection->all_sent());
  leg.peer.read();
  CHECK(leg.peer.received() == "one,two");
  CHECK(leg.state.sent_bytes == 7);
  CHECK(leg.cells[1] == 7);
  CHECK(leg.state.unsent.capacity() == 0);
}

TEST_CASE("connection: a large write follows the small ones before it, at once") {
  Leg leg;
  const std::string large = pattern(SendQueue::kMostBytes + 1, 17);
  in_an_iteration(leg, [&] {
    CHECK(leg.connection->write("small") == WriteStatus::Ok);
    CHECK(leg.connection->write(large) == WriteStatus::Ok);
    leg.peer.read();
    CHECK(leg.peer.received() == "small" + large);
    CHECK(leg.connection->write("behind") == WriteStatus::Ok);
    Buffer end;
    CHECK(leg.connection->write(end, EndOfStream::Yes) == WriteStatus::Ok);
    CHECK(leg.peer.read() == Peer::Ended);
  });
  CHECK(leg.peer.received() == "small" + large + "behind");
}

TEST_CASE("connection: more small writes than the queue holds arrive, in order") {
  Leg leg;
  const std::string bytes = pattern(3 * SendQueue::kCapacity, 18);
  in_an_iteration(leg, [&] {
    for (std::size_t at = 0; at < bytes.size(); at += 1000) {
      CHECK(leg.connection->write(std::string_view(bytes).substr(at, 1000)) == WriteStatus::Ok);
      leg.peer.read();
    }
  });
  REQUIRE(leg.until([&] {
    leg.peer.read();
    return leg.peer.received().size() == bytes.size();
  }));
  CHECK(leg.peer.received() == bytes);
  CHECK(leg.state.sent_bytes == bytes.size());
  CHECK(leg.cells[1] == bytes.size());
}

TEST_CASE("connection: a small write that the kernel does not take waits") {
  Leg leg;
  fill_socket(leg.state.fd.get());
  in_an_iteration(leg, [&] { CHECK(leg.connection->write("waits") == WriteStatus::Ok); });
  CHECK(leg.connection->full());
  CHECK_FALSE(leg.connection->all_sent());
  CHECK(leg.state.unsent.view() == "waits");
  CHECK(leg.state.sent_bytes == 0);
  REQUIRE(leg.until([&] {
    leg.peer.read();
    return leg.flushes == 1;
  }));
  leg.peer.read();
  CHECK(leg.peer.received().ends_with("waits"));
  CHECK(leg.state.sent_bytes == 5);
  CHECK_FALSE(leg.connection->full());
}

TEST_CASE("connection: a small write to a peer that has gone is told of after it") {
  Leg leg;
  SUBCASE("while it is read") {}
  SUBCASE("while it is not") { leg.connection->pause(PauseReason::Filter); }
  leg.peer.write("last words");
  leg.peer.close();
  leg.loop.post([&] {
    CHECK(leg.connection->write("anyone?") == WriteStatus::Ok);
    leg.connection->send_now();
    CHECK(leg.write_errors.empty());
    CHECK(leg.connection->write("or later?") == WriteStatus::Ok);
    leg.connection->pause(PauseReason::FilterHold);  // does not lose it
  });
  REQUIRE(leg.until([&] { return !leg.write_errors.empty(); }));
  CHECK(leg.write_errors == std::vector<int>{EPIPE});
  CHECK(leg.state.sent_bytes == 0);
  CHECK(leg.state.unsent.empty());
  leg.connection->deliver_rest(leg.write_errors.front());
  CHECK(leg.received == "last words");
  settle(leg.loop);
  CHECK(leg.write_errors.size() == 1);
}

TEST_CASE("connection: of two small writes to a peer that has reset the first one's error counts") {
  Leg leg;
  Leg other;
  const ListeningSocket listening = listen_on("127.0.0.1:0");
  TestPeer peer(connect_to(listening.address));
  leg.connection->close();
  leg.connection.reset();
  leg.state = LegState{.fd = accept_from(listening)};
  REQUIRE(leg.state.fd.valid());
  leg.connection.emplace(leg.loop.ref(), leg.state, leg.scratch, leg.counters, leg);
  leg.connection->start();
  leg.connection->pause(PauseReason::Filter);  // so that it is not reading that tells
  Connection between(leg.loop.ref(), other.state, other.scratch, other.counters, other);
  peer.reset();
  leg.loop.post([&] {
    CHECK(leg.connection->write("one") == WriteStatus::Ok);
    CHECK(between.write("of another") == WriteStatus::Ok);  // so they do not leave in one piece
    CHECK(leg.connection->write("two") == WriteStatus::Ok);
    leg.connection->send_now();
  });
  REQUIRE(leg.until([&] { return !leg.write_errors.empty(); }));
  CHECK(leg.write_errors == std::vector<int>{ECONNRESET});
  CHECK(leg.state.sent_bytes == 0);
}

TEST_CASE("connection: closed, reset or destroyed, it has sent what it wrote before") {
  Leg leg;
  Peer seen = Peer::Ended;
  in_an_iteration(leg, [&] {
    CHECK(leg.connection->write("last words") == WriteStatus::Ok);
    SUBCASE("closed") { leg.connection->close(); }
    SUBCASE("reset") { leg.connection->reset(); }
    SUBCASE("destroyed") {
      leg.connection.reset();
      leg.state.fd.reset();
    }
  });
  CHECK(leg.until([&] { return leg.peer.read() == seen; }));
  CHECK(leg.peer.received() == "last words");
}

TEST_CASE("connection: what is queued when it is frozen goes with it") {
  Leg leg;
  in_an_iteration(leg, [&] {
    CHECK(leg.connection->write("moves") == WriteStatus::Ok);
    CHECK(leg.connection->freeze());
  });
  leg.peer.read();
  CHECK(leg.peer.received().empty());
  CHECK(leg.state.unsent.view() == "moves");
  CHECK(leg.state.sent_bytes == 0);
  leg.connection->thaw();
  REQUIRE(leg.until([&] {
    leg.peer.read();
    return leg.peer.received() == "moves";
  }));
}

TEST_CASE("connection: the peer sees its end although another process has the socket, too") {
  EventLoop loop;
  Buffer scratch{1000};
  region::Cell cells[2] = {};
  const ByteCounters counters{.received = region::Counter(&cells[0]),
                              .sent = region::Counter(&cells[1])};
  struct Sink final : ConnectionSink {
    void on_received(Buffer&, EndOfStream) override {}
    void on_failed() override {}
    void on_write_failed(int) override {}
    void on_flushed() override {}
  } sink;
  const ListeningSocket listening = listen_on("127.0.0.1:0");
  TestPeer peer(connect_to(listening.address));
  LegState leg{.fd = accept_from(listening), .shared = true};
  REQUIRE(leg.fd.valid());
  const os::UniqueFd elsewhere(::dup(leg.fd.get()));
  const int number = leg.fd.get();
  Connection connection(loop.ref(), leg, scratch, counters, sink);
  connection.start();
  settle(loop);
  REQUIRE(epoll_registrations(number) == 1);
  Peer seen = Peer::Ended;
  SUBCASE("closed") { connection.close(); }
  SUBCASE("reset") {
    connection.reset();
    seen = Peer::Reset;
  }
  CHECK(epoll_registrations(number) == 0);
  CHECK(run_until(loop, [&] { return peer.read() == seen; }));
}
