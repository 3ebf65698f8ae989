// What a channel does between two well-behaved ends.
#include "proto/channel.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "tests/unit/open_fds.h"
#include "tests/unit/proto/channel_rig.h"

using namespace baton;
using namespace baton::proto;
using namespace baton::proto::test;
using Code = CallError::Code;

TEST_CASE("channel: a request is answered with a message and descriptors") {
  Rig rig;
  rig.answer().handle<Introduce>(INTRODUCE, [&](const Introduce& ask, Fds fds, Responder answer) {
    CHECK(answer.wanted());
    CHECK(ask.generation() == 8);
    REQUIRE(fds.size() == 1);
    CHECK((::fcntl(fds[0].get(), F_GETFD) & FD_CLOEXEC) != 0);
    const int twice[] = {fds[0].get(), fds[0].get()};
    Introduce reply;
    reply.set_generation(9);
    answer.reply(reply, twice);
  });
  Introduce ask;
  ask.set_generation(8);
  const int fds[] = {rig.near->fd()};
  std::size_t received = 0;
  rig.near->request<Introduce>(INTRODUCE, ask, fds, kLong, [&](const auto& reply, Fds back) {
    REQUIRE(reply);
    CHECK(reply->generation() == 9);
    received = back.size();
  });
  CHECK(rig.run_until([&] { return received == 2; }));
}

TEST_CASE("channel: an event arrives, wants no answer, and answering it does nothing") {
  Rig rig;
  int events = 0;
  rig.answer().handle<Ready>(READY, [&](const Ready&, Fds, Responder answer) {
    ++events;
    CHECK_FALSE(answer.wanted());
    answer.reply(Done());
    answer.fail(ErrorReply::FAILED, "no");
  });
  rig.near->notify(READY, Ready());
  CHECK(rig.run_until([&] { return events == 1; }));
  rig.settle();
  CHECK(rig.near->open());
}

TEST_CASE("channel: both ends ask at once, and ids do not collide") {
  Rig rig;
  const auto pong = [](const Ping&, Fds, const Responder& answer) { answer.reply(Done()); };
  rig.near->handle<Ping>(PING, pong);
  rig.answer().handle<Ping>(PING, pong);
  Outcome near, far;
  rig.near->request<Done>(PING, Ping(), {}, kLong, near.recorder());
  rig.far->request<Done>(PING, Ping(), {}, kLong, far.recorder());
  CHECK(rig.run_until([&] { return near.succeeded() && far.succeeded(); }));
}

TEST_CASE("channel: a failure arrives with its code and text") {
  struct Row {
    ErrorReply::Code sent;
    Code received;
  };
  constexpr Row kRows[] = {{ErrorReply::UNSPECIFIED, Code::Failed},
                           {ErrorReply::FAILED, Code::Failed},
                           {ErrorReply::REFUSED, Code::Refused},
                           {ErrorReply::BAD_REQUEST, Code::BadRequest},
                           {ErrorReply::UNSUPPORTED, Code::Unsupported},
                           {static_cast<ErrorReply::Code>(99), Code::Failed}};
  Rig rig;
  ErrorReply::Code code{};
  rig.answer().handle<Ping>(
      PING, [&](const Ping&, Fds, const Responder& answer) { answer.fail(code, "because \xff"); });
  for (const Row& row : kRows) {
    CAPTURE(row.sent);
    code = row.sent;
    Outcome outcome;
    rig.near->request<Done>(PING, Ping(), {}, kLong, outcome.recorder());
    REQUIRE(rig.run_until([&] { return outcome.calls == 1; }));
    CHECK(outcome.ended_with(row.received));
    CHECK(outcome.error->text == "because \xff");
  }
}

TEST_CASE("channel: an unknown request is answered unsupported, and the channel lives on") {
  Rig rig;
  rig.answer().handle<Ping>(PING, [](const Ping&, Fds, const Responder& a) { a.reply(Done()); });
  const auto before = baton::test::open_fds();
  const int fds[] = {rig.near->fd()};
  Outcome unknown, known;
  rig.near->notify(999, Ping(), fds);  // an unknown event is skipped
  rig.near->request<Done>(999, Ping(), fds, kLong, unknown.recorder());
  rig.near->request<Done>(PING, Ping(), {}, kLong, known.recorder());
  REQUIRE(rig.run_until([&] { return unknown.calls == 1 && known.calls == 1; }));
  CHECK(unknown.ended_with(Code::Unsupported));
  CHECK(known.succeeded());
  CHECK(rig.near->open());
  CHECK(rig.far->open());
  CHECK(baton::test::open_fds() == before);
}

TEST_CASE("channel: partial replies arrive in order with their descriptors, then the final one") {
  Rig rig;
  rig.answer().handle<SocketKeys>(ESCROW_GET, [&](const SocketKeys&, Fds, const Responder& answer) {
    const int fds[] = {rig.far->fd()};
    for (std::uint32_t i = 0; i < 3; ++i) {
      Sockets some;
      some.add_sockets()->set_index(i);
      answer.partial(some, fds);
    }
    answer.reply(Sockets());
  });
  std::string order;
  rig.near->request_raw(ESCROW_GET, SocketKeys(), {}, kLong, [&](auto reply) {
    REQUIRE(reply);
    Sockets some;
    REQUIRE(some.ParseFromArray(reply->body.data(), static_cast<int>(reply->body.size())));
    CHECK(reply->fds.size() == (reply->partial ? 1 : 0));
    order += reply->partial ? std::to_string(some.sockets(0).index()) : "end";
  });
  CHECK(rig.run_until([&] { return order.ends_with("end"); }));
  CHECK(order == "012end");
}

TEST_CASE("channel: an error may follow partial replies") {
  Rig rig;
  rig.answer().handle<Ping>(PING, [](const Ping&, Fds, const Responder& answer) {
    answer.partial(Done());
    answer.fail(ErrorReply::FAILED, "half way");
  });
  std::string order;
  rig.near->request_raw(PING, Ping(), {}, kLong, [&](auto reply) {
    order += !reply ? reply.error().text : reply->partial ? "partial, " : "final";
  });
  CHECK(rig.run_until([&] { return order == "partial, half way"; }));
}

TEST_CASE("channel: who did not ask for partial replies sees only the final one") {
  Rig rig;
  rig.answer().handle<Ping>(PING, [](const Ping&, Fds, const Responder& answer) {
    answer.partial(Done());
    answer.partial(Done());
    answer.reply(Done());
  });
  Outcome outcome;
  rig.near->request<Done>(PING, Ping(), {}, kLong, outcome.recorder());
  CHECK(rig.run_until([&] { return outcome.calls > 0; }));
  rig.settle();
  CHECK(outcome.succeeded());
}

TEST_CASE("channel: only the first final answer counts, whichever copy of the responder gives it") {
  Rig rig;
  rig.answer().handle<Ping>(PING, [](const Ping&, Fds, const Responder& answer) {
    const Responder copy = answer;
    copy.fail(ErrorReply::REFUSED, "first");
    answer.reply(Done());
    answer.partial(Done());
  });
  Outcome outcome;
  rig.near->request<Done>(PING, Ping(), {}, kLong, outcome.recorder());
  CHECK(rig.run_until([&] { return outcome.calls > 0; }));
  rig.settle();
  CHECK(outcome.ended_with(Code::Refused));
  CHECK(rig.near->open());
}

TEST_CASE("channel: a responder answers later, in any order") {
  Rig rig;
  std::vector<Responder> waiting;
  rig.answer().handle<Ping>(
      PING, [&](const Ping&, Fds, const Responder& answer) { waiting.push_back(answer); });
  std::string order;
  for (const char name : {'a', 'b', 'c'}) {
    rig.near->request<Done>(PING, Ping(), {}, kLong, [&order, name](auto, Fds) { order += name; });
  }
  REQUIRE(rig.run_until([&] { return waiting.size() == 3; }));
  for (const std::size_t i : {2, 0, 1}) waiting[i].reply(Done());
  CHECK(rig.run_until([&] { return order.size() == 3; }));
  CHECK(order == "cab");
}

TEST_CASE("channel: what does not fit into one message is an error of the sender's own") {
  Rig rig;
  int handled = 0;
  rig.answer().handle<StartFailed>(START_FAILED,
                                   [&](const StartFailed&, Fds, const Responder&) { ++handled; });
  const std::vector<int> many(254, rig.near->fd());
  Outcome fds, bytes;
  rig.near->request<Done>(START_FAILED, StartFailed(), many, kLong, fds.recorder());
  rig.near->request<Done>(START_FAILED, bulky(kMaxBodyBytes), {}, kLong, bytes.recorder());
  rig.near->notify(START_FAILED, StartFailed(), many);
  rig.near->notify(START_FAILED, bulky(kMaxBodyBytes));
  CHECK(fds.calls + bytes.calls == 0);  // not from within request()
  CHECK(rig.run_until([&] { return fds.calls == 1 && bytes.calls == 1; }));
  CHECK(fds.ended_with(Code::BadRequest));
  CHECK(bytes.ended_with(Code::BadRequest));
  rig.settle();
  CHECK(handled == 0);
  CHECK(rig.near->open());
}

TEST_CASE("channel: 253 descriptors and 64 KiB pass") {
  Rig rig;
  std::size_t received = 0;
  rig.answer().handle<StartFailed>(START_FAILED,
                                   [&](const StartFailed& message, Fds fds, const Responder&) {
                                     received = fds.size() + message.reason().size();
                                   });
  const std::size_t length = kMaxDatagramBytes - kFrameHeadBytes - 4;  // tag and length: 4 bytes
  const std::vector<int> many(253, rig.near->fd());
  rig.near->notify(START_FAILED, bulky(length), many);
  CHECK(rig.run_until([&] { return received == 253 + length; }));
}

TEST_CASE("channel: a body beyond a datagram travels in memory, both ways, with descriptors") {
  Rig rig;
  std::size_t received = 0;
  rig.answer().handle<StartFailed>(
      START_FAILED, [&](const StartFailed& message, Fds fds, const Responder& answer) {
        received = fds.size() + message.reason().size();
        answer.reply(message);
      });
  const std::size_t length = 5 * kMaxDatagramBytes;
  const std::vector<int> many(252, rig.near->fd());
  const std::set<int> before = baton::test::open_fds();
  Outcome outcome;
  rig.near->request<StartFailed>(START_FAILED, bulky(length), many, kLong, outcome.recorder());
  CHECK(rig.run_until([&] { return outcome.calls == 1; }));
  CHECK(received == 252 + length);
  CHECK(outcome.succeeded());
  CHECK(baton::test::open_fds() == before);
}

TEST_CASE("channel: an answer that does not fit arrives as a failure") {
  Rig rig;
  rig.answer().handle<Ping>(
      PING, [](const Ping&, Fds, const Responder& answer) { answer.reply(bulky(kMaxBodyBytes)); });
  Outcome outcome;
  rig.near->request<StartFailed>(PING, Ping(), {}, kLong, outcome.recorder());
  CHECK(rig.run_until([&] { return outcome.calls == 1; }));
  CHECK(outcome.ended_with(Code::Failed));
  CHECK(rig.near->open());
}

TEST_CASE("channel: a talkative peer does not starve the loop's other work") {
  Rig rig;
  int handled = 0;
  rig.near->handle<Ready>(READY, [&](const Ready&, Fds, const Responder&) { ++handled; });
  rig.answer();
  for (int i = 0; i < 100; ++i) rig.far->notify(READY, Ready());
  rig.loop.run(ev::ONCE);
  CHECK(handled > 0);
  CHECK(handled < 100);
  CHECK(rig.run_until([&] { return handled == 100; }));
}

TEST_CASE("channel: text that is not UTF-8 passes where users write it") {
  Rig rig;
  std::string received;
  rig.answer().handle<StartFailed>(
      START_FAILED, [&](const StartFailed& m, Fds, const Responder&) { received = m.reason(); });
  StartFailed message;
  message.set_reason("open /etc/\xe9t\xe9.toml");
  rig.near->notify(START_FAILED, message);
  CHECK(rig.run_until([&] { return received == message.reason(); }));
}
