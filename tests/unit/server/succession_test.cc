// The old and the new generation's ends of a succession channel, in one loop.
#include <doctest/doctest.h>

#include <memory>
#include <optional>

#include "proto/negotiation.h"
#include "proto/seqpacket.h"
#include "proxy/server/bind.h"
#include "proxy/server/predecessor.h"
#include "proxy/server/successor.h"

using namespace baton;
using namespace baton::proxy;

namespace {

proto::Hello hello(std::uint64_t generation) {
  proto::Hello result;
  result.set_protocol_min(proto::kProtocolMin);
  result.set_protocol_max(proto::kProtocolMax);
  result.set_generation(generation);
  result.add_features(std::string(proto::kFeatureListeners));
  return result;
}

Successor::Events no_events() {
  return {.met = [] {}, .gone = [] {}};
}

struct Succession {
  Succession() {
    auto pair = proto::make_pair();
    REQUIRE(pair);
    old_end = std::move(pair->first);
    predecessor = std::make_unique<Predecessor>(
        loop, std::move(pair->second),
        Predecessor::Events{.arriving = [](proto::Fds, const os::UniqueFd&) {},
                            .lending =
                                [this](std::vector<SessionChannel> channels) {
                                  lent = std::move(channels);
                                  loop.stop();
                                },
                            .gone =
                                [this] {
                                  gone = true;
                                  loop.stop();
                                }});
    deadline.set<Succession, &Succession::on_deadline>(this);
    deadline.start(10);
  }
  void on_deadline(ev::timer&, int) noexcept { loop.stop(); }

  proto::SocketKey hold(std::uint32_t count) {
    auto any = *os::SocketAddress::parse("127.0.0.1:0");
    proto::SocketKey key;
    for (std::uint32_t index = 0; index < count; ++index) {
      auto fd = bind_stream_socket(any, index == 0 ? GroupPlace::First : GroupPlace::Next);
      REQUIRE(fd);
      any = *os::SocketAddress::of_socket(fd->get());
      key = proto::stream_key(any);
      proto::SocketInfo info;
      *info.mutable_key() = key;
      info.set_index(index);
      REQUIRE(held.add(info, std::move(*fd)));
    }
    return key;
  }

  std::vector<Predecessor::Socket> inherit(std::vector<proto::SocketKey> keys) {
    std::optional<std::vector<Predecessor::Socket>> result;
    predecessor->inherit(hello(2), std::move(keys), [&](std::vector<Predecessor::Socket> sockets) {
      CHECK(!result);
      result = std::move(sockets);
      loop.stop();
    });
    loop.run();
    REQUIRE(result);
    return std::move(*result);
  }

  EventLoop loop;
  ev::timer deadline{loop.ref()};
  ListeningSockets held;
  os::UniqueFd old_end;
  std::vector<SessionChannel> lent;
  bool gone = false;
  std::unique_ptr<Predecessor> predecessor;
};

}  // namespace

TEST_CASE("succession: the new generation gets the sockets it asks for, and only those") {
  Succession test;
  const auto asked = test.hold(3);
  test.hold(2);
  const Successor successor(test.loop, std::move(test.old_end), hello(1), test.held, no_events());
  const auto sockets = test.inherit({asked});
  REQUIRE(sockets.size() == 3);
  for (const auto& socket : sockets) CHECK(proto::verify_socket(socket.fd.get(), asked));
}

TEST_CASE("succession: more sockets than fit into one message all arrive") {
  Succession test;
  const auto asked = test.hold(600);
  const Successor successor(test.loop, std::move(test.old_end), hello(1), test.held, no_events());
  CHECK(test.inherit({asked}).size() == 600);
}

TEST_CASE("succession: an old generation that knows nothing of the address passes nothing") {
  Succession test;
  const Successor successor(test.loop, std::move(test.old_end), hello(1), test.held, no_events());
  CHECK(test.inherit({proto::stream_key(*os::SocketAddress::parse("127.0.0.1:1"))}).empty());
}

TEST_CASE("succession: a dead old generation is no failure") {
  Succession test;
  test.old_end.reset();
  CHECK(test.inherit({}).empty());
}

TEST_CASE("succession: a silent old generation is given up after its deadline") {
  Succession test;
  CHECK(test.inherit({}).empty());
}

TEST_CASE("succession: no common protocol means no sockets, not a failure") {
  Succession test;
  const auto asked = test.hold(1);
  auto ancient = hello(1);
  ancient.set_protocol_min(proto::kProtocolMax + 1);
  ancient.set_protocol_max(proto::kProtocolMax + 1);
  const Successor successor(test.loop, std::move(test.old_end), ancient, test.held, no_events());
  CHECK(test.inherit({asked}).empty());
}

TEST_CASE("succession: garbage from the old generation is no failure") {
  Succession test;
  REQUIRE(::write(test.old_end.get(), "what is this", 12) == 12);
  CHECK(test.inherit({}).empty());
}

TEST_CASE(
    "succession: sessions are lent by who can, over channels for the workers of who borrows") {
  Succession both;
  proto::Hello old_hello = hello(1);
  old_hello.add_features(std::string(proto::kFeatureSessions));
  proto::Hello new_hello = old_hello;
  new_hello.set_workers(3);
  Successor successor(both.loop, std::move(both.old_end), old_hello, both.held, no_events());
  both.predecessor->inherit(new_hello, {}, [&](auto) { both.loop.stop(); });
  both.loop.run();
  CHECK(both.predecessor->will_lend_sessions());
  CHECK(successor.borrowing_workers() == 3);

  std::vector<SessionChannel> channels;
  for (const std::uint32_t worker : {2, 0}) {
    channels.push_back({worker, std::move(proto::make_pair()->first)});
  }
  successor.send_session_channels(std::move(channels));
  both.loop.run();
  REQUIRE(both.lent.size() == 2);
  CHECK(both.lent[0].worker == 2);
  CHECK(both.lent[1].worker == 0);
  CHECK(both.lent[1].fd.valid());
}

TEST_CASE("succession: an old generation that does not lend sessions is not waited for") {
  Succession both;
  Successor successor(both.loop, std::move(both.old_end), hello(1), both.held, no_events());
  CHECK(both.inherit({}).empty());
  CHECK_FALSE(both.predecessor->will_lend_sessions());
  CHECK(successor.borrowing_workers() == 0);
}

TEST_CASE("succession: nor one that has died") {
  Succession both;
  both.old_end.reset();
  both.loop.run();
  CHECK(both.gone);
  CHECK_FALSE(both.predecessor->will_lend_sessions());
}

TEST_CASE("succession: a later generation that only introduces itself is known, and asks nothing") {
  Succession both;
  bool met = false;
  bool gone = false;
  const Successor successor(both.loop, std::move(both.old_end), hello(1), both.held,
                            {.met =
                                 [&] {
                                   met = true;
                                   both.loop.stop();
                                 },
                             .gone =
                                 [&] {
                                   gone = true;
                                   both.loop.stop();
                                 }});
  both.predecessor->meet(hello(3));
  both.loop.run();
  CHECK(met);
  CHECK(both.predecessor->connected());
  CHECK_FALSE(gone);
  both.predecessor.reset();
  both.loop.run();
  CHECK(gone);
  CHECK_FALSE(successor.connected());
}
