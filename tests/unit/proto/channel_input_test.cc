// What a channel does with input no sane peer sends: it closes, and the process goes on.
#include <doctest/doctest.h>

#include <random>

#include "tests/unit/open_fds.h"
#include "tests/unit/proto/channel_rig.h"

using namespace baton;
using namespace baton::proto;
using namespace baton::proto::test;
using Code = CallError::Code;

namespace {

std::string encode(std::uint16_t kind, std::uint16_t flags, std::uint32_t id, std::uint32_t fds,
                   std::string_view body = {}) {
  return encode_frame({.kind = kind, .flags = flags, .id = id, .fds = fds, .body = body});
}

// The id of the first request on a channel, which the rig's peer would see.
constexpr std::uint32_t kFirstId = 1;

struct Row {
  const char* name;
  std::string bytes;
  std::size_t fds = 0;
  Code open_request = Code::Closed;  // how the one that is open ends
};

std::vector<Row> malformed() {
  const std::string ok = encode(PING, 0, 5, 0);
  std::string bad_magic = ok;
  bad_magic[3] = '2';
  return {
      {"one byte", "B"},
      {"a head cut short", ok.substr(0, 15)},
      {"wrong magic", bad_magic},
      {"another protocol", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"},
      {"unknown flag", encode(PING, 0x10, 5, 0)},
      {"error that is no reply", encode(PING, kError, kFirstId, 0)},
      {"partial that is no reply", encode(PING, kPartial, kFirstId, 0)},
      {"partial error", encode(PING, kReply | kPartial | kError, kFirstId, 0)},
      {"reply to id 0", encode(PING, kReply, 0, 0)},
      {"reply to a request never made", encode(PING, kReply, 77, 0)},
      {"error reply to a request never made", encode(PING, kReply | kError, 77, 0)},
      {"reply of another kind", encode(RESUME, kReply, kFirstId, 0)},
      {"body in memory without a descriptor", encode(PING, kInMemory, 5, 0)},
      {"body in memory and here", encode(PING, kInMemory, 5, 1, std::string("\x08\x01", 2)), 1},
      {"body in memory that is not sealed", encode(PING, kInMemory, 5, 1), 1},
      {"oversized", ok + std::string(kMaxDatagramBytes, 'x')},
      {"oversized with descriptors", ok + std::string(kMaxDatagramBytes, 'x'), 3},
      {"announces a descriptor, carries none", encode(PING, 0, 5, 1)},
      {"announces none, carries one", encode(PING, 0, 5, 0), 1},
      {"announces two, carries three", encode(PING, 0, 5, 2), 3},
      {"announces four billion", encode(PING, 0, 5, 0xffffffff), 1},
      {"reply with descriptors it does not announce", encode(PING, kReply, kFirstId, 0), 2},
      {"request with a garbage body", encode(PING, 0, 5, 0, "\xff\xff\xff\xff")},
      {"event with a garbage body and a descriptor", encode(PING, 0, 0, 1, "\x0a\x7f"), 1},
      {"string that is not UTF-8", encode(WELCOME_ME, 0, 5, 0, "\x22\x01\xff")},
      {"end of a group never begun", encode(PING, 0, 5, 0, "\x0c")},
      {"groups nested too deeply", encode(PING, 0, 5, 0, std::string(5000, '\x0b'))},
      {"error reply with a garbage body", encode(PING, kReply | kError, kFirstId, 0, "\xff")},
      {"reply with a garbage body", encode(PING, kReply, kFirstId, 0, "\xff"), 0, Code::Malformed},
  };
}

void handle_some(Channel& channel) {
  channel.handle<Ping>(PING, [](const Ping&, Fds, const Responder& a) { a.reply(Done()); });
  channel.handle<Hello>(WELCOME_ME,
                        [](const Hello&, Fds, const Responder& a) { a.reply(Welcome()); });
}

}  // namespace

TEST_CASE("malformed input: closes that channel, answers its requests, leaks nothing") {
  for (const Row& row : malformed()) {
    CAPTURE(row.name);
    Rig rig;
    handle_some(*rig.near);
    Outcome open;
    rig.near->request<Done>(PING, Ping(), {}, kLong, open.recorder());
    rig.settle();
    const auto before = baton::test::open_fds();
    const int socket = rig.near->fd();

    const std::vector<int> fds(row.fds, rig.far_socket.get());
    REQUIRE(rig.send(row.bytes, fds) == IoStatus::Done);
    CHECK(rig.run_until([&] { return rig.closed > 0; }));
    rig.settle();
    CHECK(rig.closed == 1);
    CHECK_FALSE(rig.close_reason.empty());
    CHECK_FALSE(rig.near->open());
    CHECK(open.ended_with(row.open_request));
    auto expected = before;
    expected.erase(socket);
    CHECK(baton::test::open_fds() == expected);
  }
}

TEST_CASE("malformed input: a second reply to one request closes the channel") {
  Rig rig;
  Outcome outcome;
  rig.near->request<Done>(PING, Ping(), {}, kLong, outcome.recorder());
  rig.send(encode(PING, kReply, kFirstId, 0));
  rig.send(encode(PING, kReply, kFirstId, 0));
  CHECK(rig.run_until([&] { return rig.closed == 1; }));
  CHECK(outcome.succeeded());
}

TEST_CASE("malformed input: what came before it is delivered, what comes after is not") {
  Rig rig;
  int events = 0;
  rig.near->handle<Ready>(READY, [&](const Ready&, Fds, const Responder&) { ++events; });
  rig.send(encode(READY, 0, 0, 0));
  rig.send("garbage");
  rig.send(encode(READY, 0, 0, 0));
  CHECK(rig.run_until([&] { return rig.closed == 1; }));
  CHECK(events == 1);
}

TEST_CASE("malformed input: other channels on the loop do not notice") {
  Rig rig;
  handle_some(*rig.near);
  auto ends = make_pair();
  REQUIRE(ends);
  Channel asker(rig.loop, std::move(ends->first), "asker");
  Channel answerer(rig.loop, std::move(ends->second), "answerer");
  handle_some(answerer);
  rig.send("garbage");
  Outcome outcome;
  asker.request<Done>(PING, Ping(), {}, kLong, outcome.recorder());
  CHECK(rig.run_until([&] { return rig.closed == 1 && outcome.calls == 1; }));
  CHECK(outcome.succeeded());
}

TEST_CASE("unusual input: descriptors that come with a late or unwanted reply are closed") {
  Rig rig;
  Outcome outcome;
  rig.near->request<Done>(PING, Ping(), {}, 1ms, outcome.recorder());
  REQUIRE(rig.run_until([&] { return outcome.calls == 1; }));
  const auto before = baton::test::open_fds();
  const int fds[] = {rig.far_socket.get()};
  rig.send(encode(PING, kReply, kFirstId, 1), fds);
  rig.settle();
  CHECK(rig.near->open());
  CHECK(baton::test::open_fds() == before);
}

TEST_CASE("random input: 5000 datagrams crash nothing and leak nothing") {
  std::mt19937 random(20240229);
  const auto upto = [&](std::uint32_t limit) { return random() % (limit + 1); };
  const auto before = baton::test::open_fds();
  int closed = 0;
  int survived = 0;
  auto rig = std::make_unique<Rig>();
  handle_some(*rig->near);
  rig->near->request<Done>(PING, Ping(), {}, kLong, [](auto, Fds) {});
  for (int i = 0; i < 5000; ++i) {
    std::string body;
    for (std::uint32_t left = upto(60); left > 0; --left) body += static_cast<char>(upto(255));
    const std::uint32_t fds = upto(3) == 0 ? upto(3) : 0;
    std::string bytes = body;
    if (upto(4) != 0) {
      static constexpr std::uint16_t kKinds[] = {PING, WELCOME_ME, READY, 999};
      const auto flags = static_cast<std::uint16_t>(upto(3) == 0 ? upto(8) : 0);
      bytes = encode(kKinds[upto(3)], flags, upto(3), upto(9) == 0 ? upto(3) : fds,
                     upto(1) == 0 ? std::string_view(body) : std::string_view());
    }
    if (bytes.empty()) continue;
    rig->send(bytes, std::vector<int>(fds, rig->far_socket.get()));
    rig->settle();
    Datagram answer;
    while (receive_datagram(rig->far_socket.get(), answer) == IoStatus::Done) continue;
    if (rig->near->open()) {
      ++survived;
      continue;
    }
    ++closed;
    CHECK(rig->closed == 1);
    rig = std::make_unique<Rig>();
    handle_some(*rig->near);
    rig->near->request<Done>(PING, Ping(), {}, kLong, [](auto, Fds) {});
  }
  rig.reset();
  CHECK(closed > 500);  // or the mixture tests nothing
  CHECK(survived > 500);
  CHECK(baton::test::open_fds() == before);
}
