#include "proxy/move/session_record.h"

#include <doctest/doctest.h>

#include <random>

#include "tests/unit/fixture/sockets.h"
#include "tests/unit/udp/udp_worker.h"

using namespace baton;
using proxy::read_record;
using proxy::write_record;
using proxy::udp::SessionState;

namespace {

os::UniqueFd datagram_socket() { return os::UniqueFd(::socket(AF_INET, SOCK_DGRAM, 0)); }

SessionState some_session() {
  SessionState state;
  state.flow.family = AF_INET6;
  state.flow.client = {0x20, 0x01, 0x0d, 0xb8, 1};
  state.flow.local = {1, 2, 3};
  state.flow.port = 4711;
  state.flow.scope = 7;
  state.endpoint = std::make_shared<const proxy::Endpoint>(
      proxy::Endpoint{.address = *os::SocketAddress::parse("[::1]:53")});
  // Long ago, but not before the machine began.
  state.opened = std::chrono::steady_clock::time_point(
      std::chrono::steady_clock::now().time_since_epoch() / 2);
  state.last_activity = proxy::CoarseClock::now() - std::chrono::seconds(9);
  state.answered = true;
  return state;
}

proto::SessionRecord some_record() {
  proto::SessionRecord record;
  write_record(some_session(), 12345, record);
  return record;
}

}  // namespace

TEST_CASE("session record: what is written is read again") {
  const SessionState state = some_session();
  proto::SessionRecord record;
  write_record(state, 12345, record);
  const auto read = read_record(record, datagram_socket());
  REQUIRE(read);
  CHECK(read->state.flow == state.flow);
  CHECK(read->endpoint == state.endpoint->address);
  CHECK(read->state.opened == state.opened);
  CHECK(read->state.last_activity == state.last_activity);
  CHECK(read->state.answered);
  CHECK(read->state.upstream.valid());
  CHECK(record.socket() == 12345);
}

TEST_CASE("session record: of another schema it is of an unknown kind") {
  proto::SessionRecord record = some_record();
  record.set_schema(proxy::kSessionSchema + 1);
  const auto read = read_record(record, datagram_socket());
  REQUIRE_FALSE(read);
  CHECK(read.error() == proto::MOVE_UNKNOWN_KIND);
}

TEST_CASE("session record: what is no session is malformed") {
  proto::SessionRecord record = some_record();
  os::UniqueFd fd = datagram_socket();
  SUBCASE("a client without an address") { record.set_client("x"); }
  SUBCASE("a client on a unix socket") { record.set_client(std::string("\1\0/path", 7)); }
  SUBCASE("a client's address cut short") { record.mutable_client()->resize(12); }
  SUBCASE("a local address of another length") { record.set_local("1234"); }
  SUBCASE("no endpoint") { record.clear_endpoint(); }
  SUBCASE("another kind of socket") { fd = fixture::make_socketpair().first; }
  SUBCASE("no descriptor") { fd.reset(); }
  const auto read = read_record(record, std::move(fd));
  REQUIRE_FALSE(read);
  CHECK(read.error() == proto::MOVE_MALFORMED);
}

TEST_CASE("session record: activity in the future counts as now") {
  proto::SessionRecord record = some_record();
  for (const std::uint64_t future : {UINT64_MAX / 2, UINT64_MAX - 5}) {
    record.set_last_activity_ms(future);
    record.set_opened_ns(future);
    const auto read = read_record(record, datagram_socket());
    REQUIRE(read);
    CHECK(read->state.last_activity <= proxy::CoarseClock::now());
    CHECK(read->state.last_activity.time_since_epoch().count() >= 0);
    CHECK(read->state.opened <= std::chrono::steady_clock::now());
    CHECK(read->state.opened.time_since_epoch().count() >= 0);
  }
}

TEST_CASE("session record: 20000 garbled ones crash nothing") {
  std::minstd_rand chance{1};
  const std::string whole = some_record().SerializeAsString();
  for (int i = 0; i < 20'000; ++i) {
    std::string garbled = whole;
    for (unsigned j = chance() % 4; j < 4; ++j) {
      garbled[chance() % garbled.size()] = static_cast<char>(chance());
    }
    proto::SessionRecord record;
    if (!record.ParseFromString(garbled)) continue;
    static_cast<void>(read_record(record, datagram_socket()));
  }
}
