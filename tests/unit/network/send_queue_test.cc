#include "proxy/network/send_queue.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "proxy/network/connection.h"
#include "tests/unit/fixture/loop_driver.h"
#include "tests/unit/fixture/sockets.h"

using namespace baton;
using namespace baton::fixture;
using namespace baton::proxy;

namespace {

// One of several connections on a loop.
struct Writer final : ConnectionSink {
  explicit Writer(EventLoop& loop, bool narrow) {
    if (narrow) {
      make_narrow();
    } else {
      auto [ours, theirs] = make_socketpair();
      state.fd = std::move(ours);
      peer = TestPeer(std::move(theirs));
    }
    connection.emplace(loop.ref(), state, scratch, counters, *this);
    connection->start();
  }
  void on_received(Buffer&, EndOfStream) override {}
  void on_failed() override {}
  void on_write_failed(int error) override { write_errors.push_back(error); }
  void on_flushed() override {}
  // Over TCP, with a small buffer: it takes a part of what is sent.
  void make_narrow() {
    const ListeningSocket listening = listen_on("127.0.0.1:0");
    const int few = 8192;
    ::setsockopt(listening.fd.get(), SOL_SOCKET, SO_SNDBUF, &few, sizeof few);
    peer = TestPeer(connect_to(listening.address));
    state.fd = accept_from(listening);
    REQUIRE(state.fd.valid());
  }
  void write(std::string_view bytes) { CHECK(connection->write(bytes) == WriteStatus::Ok); }
  std::string_view arrived() {
    peer.read();
    return peer.received();
  }

  Buffer scratch{1000};
  region::Cell cells[2] = {};
  ByteCounters counters{.received = region::Counter(&cells[0]), .sent = region::Counter(&cells[1])};
  LegState state;
  TestPeer peer;
  std::optional<Connection> connection;
  std::vector<int> write_errors;
};

// A loop with a ring or without, and what writes on it.
struct Row {
  Row(std::unique_ptr<SendRing> ring, std::size_t count, bool narrow = false)
      : loop(std::move(ring)) {
    for (std::size_t i = 0; i < count; ++i) {
      writers.push_back(std::make_unique<Writer>(loop, narrow));
    }
  }
  void in_an_iteration(const std::function<void()>& task) {
    REQUIRE(run_in_an_iteration(loop, task));
  }
  Writer& operator[](std::size_t index) { return *writers[index]; }

  EventLoop loop;
  std::vector<std::unique_ptr<Writer>> writers;
};

// Null, too: sends are calls of their own. A kernel that refuses rings has only that.
std::vector<std::unique_ptr<SendRing>> with_and_without_ring() {
  std::vector<std::unique_ptr<SendRing>> both = make_send_rings(1);
  if (both.empty()) MESSAGE("no io_uring here");
  both.push_back(nullptr);
  return both;
}

std::string message_to(std::size_t index) {
  return "message to " + std::to_string(index) + " of a row";
}

std::size_t rings_open() {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    if (std::filesystem::read_symlink(entry, gone) == "anon_inode:[io_uring]") ++count;
  }
  return count;
}

// What it submits to is no ring any more.
void break_ring() {
  const os::UniqueFd other(::open("/dev/null", O_RDWR | O_CLOEXEC));
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    if (std::filesystem::read_symlink(entry, gone) != "anon_inode:[io_uring]") continue;
    REQUIRE(::dup3(other.get(), std::stoi(entry.path().filename()), O_CLOEXEC) >= 0);
  }
}

// Writes to the first of a row, and what it has written.
struct Steps {
  Row& row;
  std::string written;

  void write(std::size_t size) {
    const std::string bytes = pattern(size, static_cast<unsigned>(written.size()));
    written += bytes;
    row[0].write(bytes);
  }
  void end() {
    Buffer nothing;
    CHECK(row[0].connection->write(nothing, EndOfStream::Yes) == WriteStatus::Ok);
  }
};

}  // namespace

TEST_CASE("send queue: a row reaches everyone, however long it is") {
  for (std::unique_ptr<SendRing>& ring : with_and_without_ring()) {
    Row row(std::move(ring), 2 * SendRing::kMostSends + 1);
    for (int round = 1; round <= 3; ++round) {
      row.in_an_iteration([&] {
        for (std::size_t i = 0; i < row.writers.size(); ++i) row[i].write(message_to(i));
        CHECK(row[0].arrived().size() == (round - 1) * message_to(0).size());
      });
      for (std::size_t i = 0; i < row.writers.size(); ++i) {
        CHECK(row[i].arrived().size() == round * message_to(i).size());
        CHECK(row[i].arrived().ends_with(message_to(i)));
        CHECK(row[i].cells[1] == row[i].state.sent_bytes);
        CHECK(row[i].state.sent_bytes == round * message_to(i).size());
        CHECK(row[i].connection->all_sent());
      }
    }
  }
}

TEST_CASE("send queue: who is full, gone or frozen keeps nobody else from sending") {
  for (std::unique_ptr<SendRing>& ring : with_and_without_ring()) {
    Row row(std::move(ring), 5);
    fill_socket(row[1].state.fd.get());
    row[2].peer.close();
    row.in_an_iteration([&] {
      CHECK(row[3].connection->freeze());
      for (std::size_t i = 0; i < row.writers.size(); ++i) row[i].write(message_to(i));
    });
    CHECK(row[0].arrived() == message_to(0));
    CHECK(row[4].arrived() == message_to(4));
    CHECK(row[1].state.unsent.view() == message_to(1));
    CHECK(row[1].connection->full());
    CHECK(row[1].cells[1] == 0);
    CHECK(row[3].state.unsent.view() == message_to(3));
    REQUIRE(run_until(row.loop, [&] { return !row[2].write_errors.empty(); }));
    CHECK(row[2].write_errors == std::vector<int>{EPIPE});
    CHECK(row[2].state.sent_bytes == 0);
    row[3].connection->thaw();
    REQUIRE(run_until(row.loop, [&] { return row[3].arrived() == message_to(3); }));
    REQUIRE(run_until(row.loop, [&] { return row[1].arrived().ends_with(message_to(1)); }));
  }
}

TEST_CASE("send queue: who is frozen after it has written takes that along, the others send") {
  for (std::unique_ptr<SendRing>& ring : with_and_without_ring()) {
    Row row(std::move(ring), 3);
    row.in_an_iteration([&] {
      for (std::size_t i = 0; i < row.writers.size(); ++i) row[i].write(message_to(i));
      CHECK(row[1].connection->freeze());
      CHECK(row[1].state.unsent.view() == message_to(1));
      CHECK(row[1].state.sent_bytes == 0);
      CHECK(row[0].arrived() == message_to(0));
      CHECK(row[2].arrived() == message_to(2));
    });
    CHECK(row[1].arrived().empty());
  }
}

TEST_CASE("send queue: bytes for a socket that takes nothing wait in their order") {
  struct Case {
    const char* name;
    std::function<void(Steps&)> steps;
  };
  const Case cases[] = {
      {"another one's bytes in between",
       [](Steps& steps) {
         steps.write(2'000);
         steps.row[1].write("between");
         for (int i = 0; i < 4; ++i) steps.write(2'000);
       }},
      {"more than the queue holds",
       [](Steps& steps) {
         while (steps.written.size() < 3 * SendQueue::kCapacity) steps.write(1'500);
       }},
      {"a large piece behind small ones",
       [](Steps& steps) {
         steps.write(2'000);
         steps.row[1].write("between");
         steps.write(2'000);
         steps.write(SendQueue::kMostBytes + 1);
         steps.write(10);
       }},
      {"an end",
       [](Steps& steps) {
         steps.write(2'000);
         steps.row[1].write("between");
         steps.write(2'000);
         steps.end();
         CHECK_FALSE(steps.row[0].state.write_ended);
       }},
  };
  for (const Case& each : cases) {
    for (std::unique_ptr<SendRing>& ring : with_and_without_ring()) {
      CAPTURE(each.name);
      Row row(std::move(ring), 2);
      fill_socket(row[0].state.fd.get());
      Steps steps{.row = row, .written = {}};
      row.in_an_iteration([&] { each.steps(steps); });
      REQUIRE(run_until(row.loop, [&] { return row[0].arrived().ends_with(steps.written); }));
      CHECK(row[0].state.sent_bytes == steps.written.size());
      CHECK(row[0].cells[1] == steps.written.size());
    }
  }
}

TEST_CASE("send queue: whatever is taken in part on the way, bytes keep their order") {
  for (std::unique_ptr<SendRing>& ring : with_and_without_ring()) {
    Row row(std::move(ring), 2, true);
    Steps steps{.row = row, .written = {}};
    std::minstd_rand random(7);
    const auto up_to = [&random](std::size_t most) { return 1 + random() % most; };
    int taken_in_part = 0;
    for (int round = 0; round < 600; ++round) {
      REQUIRE(run_until(row.loop, [&] {
        row[0].peer.read(up_to(12'000));
        return !row[0].connection->full();
      }));
      const auto before = row[0].cells[1].load();
      row.in_an_iteration([&] {
        for (std::size_t i = up_to(60); i > 0; --i) {
          steps.write(up_to(i == 3 ? 3 * SendQueue::kMostBytes / 2 : 2'000));
          if (i % 4 == 0) row[1].write("between");
        }
      });
      if (row[0].cells[1] != before && !row[0].state.unsent.empty()) ++taken_in_part;
      row[1].peer.read();
    }
    REQUIRE(run_until(row.loop, [&] { return row[0].arrived().size() == steps.written.size(); }));
    CHECK(row[0].arrived() == steps.written);
    CHECK(row[0].state.sent_bytes == steps.written.size());
    CHECK(row[0].cells[1] == steps.written.size());
    CHECK(taken_in_part > 20);
  }
}

TEST_CASE("send queue: behind a send that has failed nothing is sent, not even an end") {
  struct Case {
    const char* name;
    std::function<void(Steps&)> steps;
  };
  const Case cases[] = {
      {"small", [](Steps& steps) { steps.write(10); }},
      {"large", [](Steps& steps) { steps.write(SendQueue::kMostBytes + 1); }},
      {"an end", [](Steps& steps) { steps.end(); }},
      {"it cannot move either",
       [](Steps& steps) {
         steps.row[1].connection->send_now();
         CHECK_FALSE(steps.row[0].connection->freeze());
       }},
  };
  for (const Case& each : cases) {
    for (std::unique_ptr<SendRing>& ring : with_and_without_ring()) {
      CAPTURE(each.name);
      Row row(std::move(ring), 2);
      row[0].peer.close();
      Steps steps{.row = row, .written = {}};
      row.in_an_iteration([&] {
        row[0].write("lost");
        row[1].write("another");
        each.steps(steps);
        row[0].connection->send_now();
        CHECK_FALSE(row[0].connection->all_sent());
        CHECK_FALSE(row[0].state.write_ended);
        CHECK(row[0].state.unsent.empty());
      });
      REQUIRE(run_until(row.loop, [&] { return !row[0].write_errors.empty(); }));
      CHECK(row[0].write_errors == std::vector<int>{EPIPE});
      CHECK(row[0].state.sent_bytes == 0);
      CHECK(row[1].arrived() == "another");
    }
  }
}

TEST_CASE("send queue: without its ring it goes on, nothing is lost or sent twice") {
  SendRings rings = make_send_rings(1);
  if (rings.empty()) return;
  Row row(std::move(rings[0]), 10);
  CHECK(rings_open() == 1);
  break_ring();
  for (int round = 1; round <= 2; ++round) {
    row.in_an_iteration([&] {
      for (std::size_t i = 0; i < row.writers.size(); ++i) row[i].write(message_to(i));
    });
    for (std::size_t i = 0; i < row.writers.size(); ++i) {
      CHECK(row[i].arrived().size() == round * message_to(i).size());
      CHECK(row[i].state.sent_bytes == round * message_to(i).size());
    }
  }
}

TEST_CASE("send ring: each is there once, and gone with its owner") {
  {
    const SendRings rings = make_send_rings(3);
    if (rings.empty()) return;
    CHECK(rings.size() == 3);
    CHECK(rings_open() == 3);
  }
  CHECK(rings_open() == 0);
}
