#include <doctest/doctest.h>
#include <sys/epoll.h>

#include "tests/unit/fixture/single_worker.h"

using namespace baton;
using namespace baton::fixture;
using namespace std::chrono_literals;

namespace {

struct FrozenTunnel {
  explicit FrozenTunnel(std::optional<std::chrono::milliseconds> idle_timeout = std::nullopt)
      : upstream(listen_on("127.0.0.1:0")) {
    worker = std::make_unique<SingleWorker>(SingleWorker::Options{
        .endpoints = {{.address = upstream.address}}, .idle_timeout = idle_timeout});
    client = worker->connect();
    server = worker->accept(upstream);
    REQUIRE(worker->until([&] { return worker->cluster_metric("connections_total") == 1; }));
  }
  proxy::Session& session() { return worker->only_session(); }

  ListeningSocket upstream;
  std::unique_ptr<SingleWorker> worker;
  TestPeer client;
  TestPeer server;
};

// Iterations that found something to do out of `count`: a loop that spins handles events each time.
int busy_iterations(proxy::EventLoop& loop, int count) {
  struct Count {
    int value = 0;
    void add(ev::check&, int) { ++value; }
  } woken;
  ev::check check(loop.ref());
  check.set<Count, &Count::add>(&woken);
  check.start();
  ev::timer stop(loop.ref());
  struct Stop {
    ev::loop_ref loop;
    void now(ev::timer&, int) { loop.break_loop(); }
  } stopper{loop.ref()};
  stop.set<Stop, &Stop::now>(&stopper);
  stop.start(0.05);
  while (stop.is_active() && woken.value < count) loop.ref().run(ev::ONCE);
  return woken.value;
}

}  // namespace

TEST_CASE("freeze: nothing is read or written until thaw, and then not a byte is missing") {
  FrozenTunnel tunnel;
  proxy::Session& session = tunnel.session();
  settle(tunnel.worker->loop);
  CHECK(epoll_registrations(session.state().downstream.fd.get()) == 1);
  CHECK(epoll_registrations(session.state().upstream->fd.get()) == 1);
  REQUIRE(session.freeze());
  const std::string up = pattern(50'000, 8);
  const std::string down = pattern(60'000, 9);
  REQUIRE(tunnel.client.write(up) == up.size());
  REQUIRE(tunnel.server.write(down) == down.size());
  tunnel.client.end();
  settle(tunnel.worker->loop);
  CHECK(session.state().downstream.received_bytes == 0);
  CHECK(session.state().upstream->received_bytes == 0);
  session.thaw();
  CHECK(tunnel.worker->sees(tunnel.server, Peer::Ended));
  CHECK(tunnel.server.received() == up);
  CHECK(tunnel.worker->receives(tunnel.client, down.size()));
  CHECK(tunnel.client.received() == down);
}

TEST_CASE("freeze: bytes that wait for a slow reader are in the state and go out after thaw") {
  FrozenTunnel tunnel;
  const std::string bytes = pattern(20'000'000, 10);
  std::size_t written = 0;
  proxy::TunnelState& state = tunnel.session().state();
  REQUIRE(tunnel.worker->until([&] {
    written += tunnel.server.write(std::string_view(bytes).substr(written));
    return !state.downstream.unsent.empty();
  }));
  REQUIRE(tunnel.session().freeze());
  const std::size_t waiting = state.downstream.unsent.size();
  tunnel.client.read();
  settle(tunnel.worker->loop);
  CHECK(state.downstream.unsent.size() == waiting);
  tunnel.session().thaw();
  REQUIRE(tunnel.worker->until([&] {
    if (written < bytes.size())
      written += tunnel.server.write(std::string_view(bytes).substr(written));
    tunnel.client.read();
    return tunnel.client.received().size() >= bytes.size();
  }));
  CHECK(tunnel.client.received() == bytes);
}

TEST_CASE("freeze: no event reaches the loop and the idle timer does not run") {
  FrozenTunnel tunnel(200ms);
  REQUIRE(tunnel.session().freeze());
  // A second holder of the open files, as during a move: closing alone would not end registrations.
  const os::UniqueFd copy(::dup(tunnel.session().state().downstream.fd.get()));
  tunnel.client.write("poke");
  tunnel.server.write("poke");
  CHECK(busy_iterations(tunnel.worker->loop, 100) < 10);
  const auto begun = std::chrono::steady_clock::now();
  REQUIRE(tunnel.worker->until([&] { return std::chrono::steady_clock::now() - begun > 300ms; }));
  CHECK(tunnel.worker->held.count() == 1);
  tunnel.session().thaw();
  CHECK(tunnel.worker->receives(tunnel.client, 4));
}

TEST_CASE("freeze: the state can leave; the other process's traffic does not wake this loop") {
  FrozenTunnel tunnel;
  proxy::Session& session = tunnel.session();
  REQUIRE(session.freeze());
  CHECK(epoll_registrations(session.state().downstream.fd.get()) == 0);
  CHECK(epoll_registrations(session.state().upstream->fd.get()) == 0);
  const os::UniqueFd moved_client(::dup(session.state().downstream.fd.get()));
  const os::UniqueFd moved_server(::dup(session.state().upstream->fd.get()));
  session.state().downstream.fd.reset();
  session.state().upstream->fd.reset();
  tunnel.client.write("for the other process");
  CHECK(busy_iterations(tunnel.worker->loop, 100) < 10);
  char room[64];
  CHECK(::recv(moved_client.get(), room, sizeof room, 0) == 21);
}

TEST_CASE("freeze: again and again, with traffic in between") {
  FrozenTunnel tunnel;
  std::string up;
  std::string down;
  for (int i = 0; i < 200; ++i) {
    if (i % 3 != 0) REQUIRE(tunnel.session().freeze());
    up += std::string(static_cast<std::size_t>(i) + 1, 'u');
    down += std::string(static_cast<std::size_t>(i) + 1, 'd');
    REQUIRE(tunnel.client.write(std::string(static_cast<std::size_t>(i) + 1, 'u')) > 0);
    REQUIRE(tunnel.server.write(std::string(static_cast<std::size_t>(i) + 1, 'd')) > 0);
    if (i % 2 == 0) settle(tunnel.worker->loop);
    if (i % 3 != 0) tunnel.session().thaw();
    if (i % 5 == 0) settle(tunnel.worker->loop);
  }
  CHECK(tunnel.worker->receives(tunnel.server, up.size()));
  CHECK(tunnel.worker->receives(tunnel.client, down.size()));
  CHECK(tunnel.server.received() == up);
  CHECK(tunnel.client.received() == down);
}

TEST_CASE(
    "freeze: a client that has gone, as a send has found out, does not move: its tunnel ends") {
  FrozenTunnel tunnel;
  SingleWorker& worker = *tunnel.worker;
  proxy::TunnelState& state = tunnel.session().state();
  // Not read, because its server reads nothing: so it is not reading that finds out.
  const std::string bytes = pattern(1'000'000, 11);
  REQUIRE(worker.until([&] {
    tunnel.client.write(bytes);
    return !state.upstream->unsent.empty();
  }));
  settle(worker.loop);
  tunnel.client.reset();
  tunnel.server.write("an answer");
  // Behind what the sockets of an iteration have to say, before what is to be sent is sent.
  struct Mover {
    proxy::Session& session;
    bool looked = false;
    bool frozen = false;
    void look(ev::check& check, int) {
      if (session.state().upstream->received_bytes == 0) return;
      check.stop();
      proxy::EventLoop::send_queue(check.loop).send_all();
      frozen = session.freeze();
      looked = true;
    }
  } mover{.session = tunnel.session()};
  ev::check check(worker.loop.ref());
  check.set<Mover, &Mover::look>(&mover);
  check.priority = -1;
  check.start();
  REQUIRE(worker.until([&] { return mover.looked; }));
  CHECK_FALSE(mover.frozen);
  CHECK(worker.is_empty());
  CHECK(worker.sees(tunnel.server, Peer::Reset));
}

TEST_CASE("freeze: a connection that is still connecting, or ending, cannot be moved") {
  const ListeningSocket hanging = listen_on("127.0.0.1:0", 0);
  std::vector<os::UniqueFd> queued;
  for (int i = 0; i < 4; ++i) queued.push_back(connect_to(hanging.address));
  SingleWorker worker({.endpoints = {{.address = hanging.address}}});
  const TestPeer client = worker.connect();
  CHECK_FALSE(worker.only_session().freeze());
}
