// Channels that are closed or destroyed at awkward moments, above all in their own callbacks.
#include <doctest/doctest.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "shared/os/loop_backend.h"
#include "tests/unit/open_fds.h"
#include "tests/unit/proto/channel_rig.h"

using namespace baton;
using namespace baton::proto;
using namespace baton::proto::test;
using Code = CallError::Code;

namespace {

enum class End { Close, Destroy };

void end(std::unique_ptr<Channel>& channel, End how) {
  if (how == End::Close) {
    channel->close();
  } else {
    channel.reset();
  }
}

bool gone(const std::unique_ptr<Channel>& channel) { return !channel || !channel->open(); }

}  // namespace

TEST_CASE("close: open requests are answered Closed from the loop, on_close is not called") {
  Rig rig;
  Outcome outcome;
  rig.near->request<Done>(PING, Ping(), {}, kLong, outcome.recorder());
  rig.near->close();
  rig.near->close();
  CHECK_FALSE(rig.near->open());
  CHECK(rig.near->fd() == -1);
  CHECK(outcome.calls == 0);
  CHECK(rig.run_until([&] { return outcome.calls == 1; }));
  CHECK(outcome.ended_with(Code::Closed));
  rig.settle();
  CHECK(rig.closed == 0);
}

TEST_CASE("close: the peer reads what was sent before it") {
  Rig rig;
  int events = 0;
  int closed = 0;
  rig.answer().handle<Ready>(READY, [&](const Ready&, Fds, const Responder&) { ++events; });
  rig.far->on_close([&](const std::string&) { ++closed; });
  rig.near->notify(READY, Ready());
  rig.near->close();
  CHECK(rig.run_until([&] { return closed == 1; }));
  CHECK(events == 1);
}

TEST_CASE("fail: on_close is called with the reason, from the loop, unless close() comes first") {
  for (const bool then_close : {false, true}) {
    CAPTURE(then_close);
    Rig rig;
    Outcome outcome;
    rig.near->request<Done>(PING, Ping(), {}, kLong, outcome.recorder());
    rig.near->fail("speaks in riddles");
    rig.near->fail("again");
    CHECK(rig.closed == 0);
    if (then_close) rig.near->close();
    CHECK(rig.run_until([&] { return outcome.calls == 1; }));
    rig.settle();
    CHECK(outcome.ended_with(Code::Closed));
    CHECK(rig.closed == (then_close ? 0 : 1));
    if (!then_close) CHECK(rig.close_reason == "speaks in riddles");
  }
}

TEST_CASE("last words: the peer gets them when this side fails, and at no other end") {
  Rig rig;
  int events = 0;
  int closed = 0;
  rig.answer().handle<Ready>(READY, [&](const Ready&, Fds, const Responder&) { ++events; });
  rig.far->on_close([&](const std::string&) { ++closed; });
  rig.near->set_last_words(READY, Ready());
  int expected = 0;
  SUBCASE("it fails") {
    expected = 1;
    SUBCASE("by itself") { rig.near->fail("test"); }
    SUBCASE("with more to read behind what it fails for") {
      rig.near->handle<Ping>(PING,
                             [&](const Ping&, Fds, const Responder&) { rig.near->fail("test"); });
      for (int i = 0; i < 3; ++i) rig.far->notify(PING, Ping());
    }
  }
  SUBCASE("it closes") { rig.near->close(); }
  SUBCASE("they are cleared") {
    rig.near->clear_last_words();
    rig.near->fail("test");
  }
  CHECK(rig.run_until([&] { return closed == 1; }));
  CHECK(events == expected);
}

TEST_CASE("closed channel: requests are answered Closed from the loop, the rest does nothing") {
  Rig rig;
  rig.near->close();
  Outcome outcome;
  rig.near->request<Done>(PING, Ping(), {}, kLong, outcome.recorder());
  rig.near->notify(READY, Ready());
  CHECK(outcome.calls == 0);
  CHECK(rig.run_until([&] { return outcome.calls == 1; }));
  CHECK(outcome.ended_with(Code::Closed));
}

TEST_CASE("closed channel: asking again in every Closed answer does not keep on_close away") {
  Rig rig;
  int asked = 0;
  std::function<void()> ask = [&] {
    ++asked;
    rig.near->request<Done>(PING, Ping(), {}, kLong, [&](const auto&, Fds) {
      if (rig.closed == 0) ask();
    });
  };
  ask();
  rig.far_socket.reset();
  CHECK(rig.run_until([&] { return rig.closed == 1; }));
  CHECK(asked > 1);
}

TEST_CASE("destroyed channel: callbacks still due are dropped, and nothing leaks") {
  const auto before = baton::test::open_fds();
  {
    Rig rig;
    const int fds[] = {rig.near->fd()};
    Outcome open, refused;
    rig.near->request<Done>(PING, Ping(), fds, kLong, open.recorder());
    while (rig.near->queued_bytes() == 0) rig.near->notify(START_FAILED, bulky(60'000), fds);
    rig.near->request<Done>(PING, Ping(), std::vector<int>(254, 0), kLong, refused.recorder());
    rig.near.reset();
    rig.settle();
    CHECK(open.calls == 0);
    CHECK(refused.calls == 0);
    CHECK(rig.closed == 0);
  }
  CHECK(baton::test::open_fds() == before);
}

TEST_CASE("in a handler: the channel may end, and no more is delivered") {
  for (const End how : {End::Close, End::Destroy}) {
    Rig rig;
    int handled = 0;
    std::string seen;
    rig.near->handle<StartFailed>(START_FAILED, [&](const StartFailed& m, Fds, const Responder& a) {
      ++handled;
      end(rig.near, how);
      a.reply(Done());  // to nobody
      seen = m.reason();
    });
    rig.answer();
    Outcome outcome;
    rig.far->request<Done>(START_FAILED, bulky(100), {}, kLong, outcome.recorder());
    rig.far->notify(START_FAILED, bulky(5));
    CHECK(rig.run_until([&] { return outcome.calls == 1; }));
    CHECK(outcome.ended_with(Code::Closed));
    CHECK(handled == 1);
    CHECK(seen.size() == 100);
    CHECK(gone(rig.near));
  }
}

TEST_CASE("in a reply: the channel may end; other requests end as with any close or destruction") {
  for (const End how : {End::Close, End::Destroy}) {
    Rig rig;
    Outcome other;
    int replies = 0;
    rig.near->request<Done>(PING, Ping(), {}, kLong, [&](const auto& reply, Fds) {
      CHECK(reply);
      ++replies;
      end(rig.near, how);
    });
    rig.near->request<Done>(PING, Ping(), {}, kLong, other.recorder());
    rig.answer().handle<Ping>(PING, [](const Ping&, Fds, const Responder& a) { a.reply(Done()); });
    CHECK(rig.run_until([&] { return replies == 1; }));
    rig.settle();
    CHECK(other.calls == (how == End::Close ? 1 : 0));
    CHECK(gone(rig.near));
  }
}

TEST_CASE("in a missed deadline: the channel may end") {
  for (const End how : {End::Close, End::Destroy}) {
    Rig rig;
    int missed = 0;
    std::vector<Code> others;
    for (int i = 0; i < 3; ++i) {
      rig.near->request<Done>(PING, Ping(), {}, 1ms, [&](const auto& reply, Fds) {
        if (missed++ == 0) {
          CHECK(reply.error().code == Code::DeadlineExceeded);
          end(rig.near, how);
        } else {
          others.push_back(reply.error().code);
        }
      });
    }
    CHECK(rig.run_until([&] { return missed > 0; }));
    rig.settle();
    CHECK(others.size() == (how == End::Close ? 2 : 0));
    CHECK(gone(rig.near));
  }
}

TEST_CASE("in a Closed answer: the channel may be destroyed, which drops the rest") {
  Rig rig;
  int answers = 0;
  for (int i = 0; i < 3; ++i) {
    rig.near->request<Done>(PING, Ping(), {}, kLong, [&](const auto&, Fds) {
      ++answers;
      rig.near.reset();
    });
  }
  rig.far_socket.reset();
  CHECK(rig.run_until([&] { return answers > 0; }));
  rig.settle();
  CHECK(answers == 1);
  CHECK(rig.closed == 0);
}

TEST_CASE("in on_close: the channel may end") {
  for (const End how : {End::Close, End::Destroy}) {
    Rig rig;
    int closed = 0;
    rig.near->on_close([&](const std::string& reason) {
      end(rig.near, how);
      CHECK_FALSE(reason.empty());
      ++closed;
    });
    rig.far_socket.reset();
    CHECK(rig.run_until([&] { return closed == 1; }));
    rig.settle();
    CHECK(closed == 1);
  }
}

TEST_CASE("in on_close for malformed input: the channel may be destroyed") {
  Rig rig;
  int closed = 0;
  rig.near->handle<Ping>(PING, [](const Ping&, Fds, const Responder&) {});
  rig.near->on_close([&](const std::string&) {
    rig.near.reset();
    ++closed;
  });
  rig.send(encode_frame({.kind = PING, .id = 1, .body = "\xff"}));
  CHECK(rig.run_until([&] { return closed == 1; }));
}

TEST_CASE("in a handler: it may replace itself") {
  Rig rig;
  std::string order;
  rig.near->handle<Ready>(READY, [&](const Ready&, Fds, const Responder&) {
    rig.near->handle<Ready>(READY, [&](const Ready&, Fds, const Responder&) { order += "second"; });
    order += "first ";
  });
  rig.answer();
  rig.far->notify(READY, Ready());
  rig.far->notify(READY, Ready());
  CHECK(rig.run_until([&] { return order == "first second"; }));
}

TEST_CASE("responder: outlives its channel and then does nothing") {
  for (const End how : {End::Close, End::Destroy}) {
    Rig rig;
    std::vector<Responder> kept;
    rig.near->handle<Ping>(PING, [&](const Ping&, Fds, const Responder& a) { kept.push_back(a); });
    rig.answer();
    Outcome outcome;
    rig.far->request<Done>(PING, Ping(), {}, kLong, outcome.recorder());
    REQUIRE(rig.run_until([&] { return kept.size() == 1; }));
    end(rig.near, how);
    CHECK(kept[0].wanted());
    kept[0].partial(Done());
    kept[0].reply(Done());
    kept[0].fail(ErrorReply::FAILED, "too late");
    CHECK(rig.run_until([&] { return outcome.calls == 1; }));
    CHECK(outcome.ended_with(Code::Closed));
  }
}

TEST_CASE("descriptor: a new channel on the same number works at once") {
  Rig rig;
  int handled = 0;
  rig.near->handle<Ready>(READY, [&](const Ready&, Fds, const Responder&) {
    const int number = rig.near->fd();
    rig.near.reset();
    auto ends = make_pair();
    REQUIRE(ends);
    REQUIRE(ends->first.get() == number);  // the lowest free one
    rig.near = std::make_unique<Channel>(rig.loop, std::move(ends->first), "next");
    rig.near->handle<Ping>(PING, [&](const Ping&, Fds, const Responder&) { ++handled; });
    rig.far_socket = std::move(ends->second);
    rig.send(encode_frame({.kind = PING}));
  });
  rig.send(encode_frame({.kind = READY}));
  CHECK(rig.run_until([&] { return handled == 1; }));
}

TEST_CASE("descriptor: a closed channel leaves no registration, even when its socket lives on") {
  Rig rig;
  const os::UniqueFd elsewhere(::dup(rig.near->fd()));  // as another process might hold it
  const int epoll = os::loop_epoll_fd(rig.loop);
  REQUIRE(epoll >= 0);
  rig.settle();
  REQUIRE(rig.send("anything") == IoStatus::Done);
  epoll_event event{};
  REQUIRE(::epoll_wait(epoll, &event, 1, 0) == 1);  // the channel's own
  rig.near->close();
  CHECK(::epoll_wait(epoll, &event, 1, 0) == 0);
}
