// What travels in the record of a connection, above all what its client has sent ahead.
#include "proxy/move/connection_record.h"

#include <doctest/doctest.h>
#include <fcntl.h>

#include "tests/unit/fixture/sockets.h"

using namespace baton;
using namespace baton::proxy;

namespace {

// A record of an idle HTTP connection with these bytes, read again on the other side.
struct Sent {
  explicit Sent(std::string unread) {
    auto pair = fixture::make_socketpair();
    TunnelState state;
    state.downstream.fd = std::move(pair.first);
    state.client = *os::SocketAddress::parse("192.0.2.1:9");
    write_record("front", state, {.kind = MoveKind::HttpIdle, .unread = std::move(unread)}, record,
                 fds);
    socket = std::move(state.downstream.fd);
  }
  std::expected<ReadRecord, proto::MoveVerdict> read() {
    return read_record(record, std::span(&socket, 1));
  }

  proto::ConnectionRecord record;
  std::vector<int> fds;
  os::UniqueFd socket;
};

}  // namespace

TEST_CASE("unread bytes: they arrive as they were, in a record that no earlier release reads") {
  Sent sent("GET / HTTP/1.1\r\n");
  CHECK(sent.record.schema() == kMoveSchemaUnread);
  const auto read = sent.read();
  REQUIRE(read);
  CHECK(read->details.unread == "GET / HTTP/1.1\r\n");
}

TEST_CASE("unread bytes: a record without any is one that every release reads") {
  Sent sent("");
  CHECK(sent.record.schema() == kMoveSchema);
  CHECK(sent.read());
}

TEST_CASE("unread bytes: more than a sender may have is refused") {
  Sent sent(std::string(MoveDetails::kMostUnreadBytes + 1, 'x'));
  const auto read = sent.read();
  REQUIRE_FALSE(read);
  CHECK(read.error() == proto::MOVE_MALFORMED);
}

TEST_CASE("unread bytes: they are of HTTP connections only") {
  Sent sent("GET");
  sent.record.set_kind(proto::TCP_TUNNEL);
  const auto read = sent.read();
  REQUIRE_FALSE(read);
  CHECK(read.error() == proto::MOVE_UNKNOWN_KIND);
}

TEST_CASE("connection record: times in the future count as now") {
  for (const std::uint64_t future : {UINT64_MAX / 2, UINT64_MAX - 5}) {
    Sent sent("");
    sent.record.set_accepted_ns(future);
    sent.record.mutable_downstream()->set_last_activity_ms(future);
    const auto read = sent.read();
    REQUIRE(read);
    CHECK(read->state.accepted <= std::chrono::steady_clock::now());
    CHECK(read->state.accepted.time_since_epoch().count() >= 0);
    CHECK(read->state.downstream.last_activity <= CoarseClock::now());
    CHECK(read->state.downstream.last_activity.time_since_epoch().count() >= 0);
  }
}

TEST_CASE("connection record: that another process may have the socket goes along") {
  Sent sent("");
  CHECK_FALSE(sent.read()->state.downstream.shared);
  Sent of_shared("");
  of_shared.record.mutable_downstream()->set_shared(true);
  const auto read = of_shared.read();
  REQUIRE(read);
  CHECK(read->state.downstream.shared);
}
