#include "proxy/udp/udp_listener.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>

#include "tests/unit/fixture/sockets.h"
#include "tests/unit/in_child.h"
#include "tests/unit/udp/udp_worker.h"

using namespace baton;
using fixture::UdpPeer;
using fixture::UdpWorker;
using namespace std::chrono_literals;

namespace {

// A question that has reached the upstream.
void ask(UdpWorker& worker, UdpPeer& client, UdpPeer& upstream, std::string_view question = "?") {
  client.send_to(worker.address(), question);
  REQUIRE(worker.received_by(upstream) == question);
}

const proxy::udp::Session& only_session(UdpWorker& worker) {
  REQUIRE(worker.listener->sessions().size() == 1);
  const proxy::udp::Session* only = nullptr;
  worker.listener->sessions().for_each([&](const auto& session) { only = &session; });
  return *only;
}

}  // namespace

TEST_CASE("udp listener: datagrams pass both ways as they are, each counted") {
  UdpPeer client, upstream;
  UdpWorker worker({.endpoints = {upstream.address()}});
  ask(worker, client, upstream, "");
  ask(worker, client, upstream, "second");
  upstream.answer("answer");
  upstream.answer("");
  CHECK(worker.received_by(client) == "answer");
  CHECK(client.last() == worker.address());
  CHECK(worker.received_by(client).empty());
  CHECK(worker.listener->sessions().size() == 1);
  CHECK(worker.listener_metric("received_bytes_total") == 6);
  CHECK(worker.listener_metric("sent_bytes_total") == 6);
  CHECK(worker.cluster_metric("sent_bytes_total") == 6);
  CHECK(worker.cluster_metric("received_bytes_total") == 6);
  CHECK(worker.listener_metric("connections_active") == 1);
  CHECK(worker.cluster_metric("connections_active") == 1);
}

TEST_CASE("udp listener: a session that is idle ends and gives everything back") {
  UdpPeer client, upstream;
  const std::size_t before = fixture::open_descriptors();
  UdpWorker worker({.endpoints = {upstream.address()}, .idle_timeout = 20ms});
  const std::size_t without = fixture::open_descriptors();
  CHECK(without > before);
  ask(worker, client, upstream);
  CHECK(fixture::open_descriptors() == without + 1);
  REQUIRE(worker.is_empty());
  CHECK(fixture::open_descriptors() == without);
  CHECK(worker.listener->sessions().empty());
  CHECK(worker.listener_metric("connections_active") == 0);
  CHECK(worker.listener_metric("connection_duration_seconds") == 1);
  CHECK(worker.cluster_metric("connections_active") == 0);
}

TEST_CASE("udp listener: datagrams of either direction put the end off") {
  UdpPeer client, upstream;
  UdpWorker worker({.endpoints = {upstream.address()}, .idle_timeout = 1s});
  ask(worker, client, upstream);
  const auto end = std::chrono::steady_clock::now() + 2500ms;
  while (std::chrono::steady_clock::now() < end) {
    upstream.answer("!");
    REQUIRE(worker.received_by(client) == "!");
  }
  CHECK(worker.listener_metric("connections_total") == 1);
  CHECK(worker.listener->sessions().size() == 1);
}

TEST_CASE(
    "udp listener: an endpoint that refuses loses the session, the next datagram has another") {
  UdpPeer client, upstream;
  // Elsewhere than the source of the session, which may be given the very same port.
  UdpPeer gone("127.0.0.2:0");
  UdpWorker worker({.endpoints = {gone.address(), upstream.address()}});
  gone.close();
  client.send_to(worker.address(), "lost");
  REQUIRE(worker.until([&] { return worker.cluster_metric("connect_failures_total") == 1; }));
  CHECK(worker.listener->sessions().empty());
  ask(worker, client, upstream, "found");
}

TEST_CASE("udp listener: a datagram that learns of the refusal is sent on by another session") {
  UdpPeer client, first, second;
  UdpWorker worker({.endpoints = {first.address(), second.address()}});
  ask(worker, client, first);
  first.close();
  // Both are there before the loop runs: the second one meets the answer to the first.
  client.send_to(worker.address(), "one");
  const int upstream = only_session(worker).state().upstream.get();
  REQUIRE(::send(upstream, "x", 1, 0) == 1);
  CHECK(worker.received_by(second) == "one");
  CHECK(worker.cluster_metric("connect_failures_total") == 1);
  CHECK(worker.dropped("to_upstream") == 0);
}

TEST_CASE("udp listener: beyond max_connections a new client is dropped, the others go on") {
  UdpPeer client, late, upstream;
  UdpWorker worker({.endpoints = {upstream.address()}, .max_connections = 1});
  ask(worker, client, upstream);
  late.send_to(worker.address(), "no room");
  REQUIRE(worker.until([&] { return worker.dropped("max_connections") == 1; }));
  CHECK(worker.listener_metric("connections_active") == 1);
  ask(worker, client, upstream, "still here");
}

TEST_CASE("udp listener: beyond the cluster's limit, too") {
  UdpPeer client, late, upstream;
  proxy::ClusterConfig cluster;
  cluster.limits.connections = 1;
  UdpWorker worker({.endpoints = {upstream.address()}, .cluster = cluster});
  ask(worker, client, upstream);
  late.send_to(worker.address(), "no room");
  REQUIRE(worker.until([&] { return worker.dropped("circuit_breaker") == 1; }));
  CHECK(worker.listener_metric("connections_active") == 1);
}

TEST_CASE("udp listener: without a free descriptor a new client is dropped, the others go on") {
  UdpPeer client, late, upstream;
  UdpWorker worker({.endpoints = {upstream.address()}});
  ask(worker, client, upstream);
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  rlimit none = before;
  none.rlim_cur = 3;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  late.send_to(worker.address(), "no room");
  const bool dropped = worker.until([&] { return worker.dropped("shortage") == 1; });
  client.send_to(worker.address(), "still here");
  const std::string heard = worker.received_by(upstream);
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(dropped);
  CHECK(heard == "still here");
  CHECK(worker.listener_metric("accept_errors_total") == 1);
  ask(worker, late, upstream, "room");
}

TEST_CASE("udp listener: where no address of this machine leads to, the next endpoint is tried") {
  CHECK(test::in_child([] {
          if (!test::enter_network_without_ipv6()) return 0;
          UdpPeer client, upstream;
          UdpWorker worker(
              {.endpoints = {*os::SocketAddress::parse("[::1]:9"), upstream.address()}});
          client.send_to(worker.address(), "hello");
          if (worker.received_by(upstream) != "hello") return 1;
          return worker.cluster_metric("connect_failures_total") == 1 ? 0 : 2;
        }) == 0);
}

TEST_CASE("udp listener: a datagram that cannot go to the client is dropped, the session stays") {
  UdpPeer client, upstream("[::1]:0");
  UdpWorker worker({.endpoints = {upstream.address()}});
  ask(worker, client, upstream);
  upstream.answer(fixture::pattern(65520, 1));  // more than IPv4 can carry
  upstream.answer("small");
  CHECK(worker.received_by(client) == "small");
  CHECK(worker.dropped("to_client") == 1);
  CHECK(worker.listener->sessions().size() == 1);
}

TEST_CASE("udp listener: a released socket is read no more, and replies still leave through it") {
  UdpPeer client, upstream;
  UdpWorker worker({.endpoints = {upstream.address()}});
  ask(worker, client, upstream);
  worker.listener->release(worker.listening.fd());
  client.send_to(worker.address(), "for the next generation");
  fixture::settle(worker.loop);
  CHECK_FALSE(upstream.receive());
  // Also when the one that was lent is closed.
  const os::UniqueFd next(::fcntl(worker.listening.fd(), F_DUPFD_CLOEXEC, 0));
  const auto address = worker.address();
  worker.listening.close();
  upstream.answer("late");
  CHECK(worker.received_by(client) == "late");
  CHECK(client.last() == address);
}

TEST_CASE("udp listener: a released socket is read again when asked for") {
  UdpPeer client, upstream;
  UdpWorker worker({.endpoints = {upstream.address()}});
  ask(worker, client, upstream);
  worker.listener->release(worker.listening.fd());
  client.send_to(worker.address(), "waits");
  worker.listener->accept_on(worker.listening.fd());
  CHECK(worker.received_by(upstream) == "waits");
  CHECK(worker.listener_metric("connections_total") == 1);
}

TEST_CASE("udp listener: no stray event and no descriptor is left of a released socket") {
  UdpPeer client, upstream;
  UdpWorker worker({.endpoints = {upstream.address()}, .idle_timeout = 20ms});
  const std::size_t before = fixture::open_descriptors();
  ask(worker, client, upstream);
  worker.listener->release(worker.listening.fd());
  REQUIRE(worker.is_empty());
  // The copy went with the last session, and the session's own with it.
  CHECK(fixture::open_descriptors() == before - 1);
}

TEST_CASE("udp listener: retiring reads the queue empty, then lets nobody in and still replies") {
  UdpPeer client, newcomer, upstream;
  UdpWorker worker({.endpoints = {upstream.address()}});
  for (int i = 0; i < 100; ++i) client.send_to(worker.address(), std::to_string(i));
  bool retired = false;
  worker.listener->retire(worker.listening.fd(), [&] { retired = true; });
  REQUIRE(worker.until([&] { return retired; }));
  for (int i = 0; i < 100; ++i) CHECK(worker.received_by(upstream) == std::to_string(i));
  upstream.answer("late");
  CHECK(worker.received_by(client) == "late");
  CHECK(client.last() == worker.address());
  // The same socket, in whatever process, gets nothing more; one bound beside it gets all.
  UdpPeer beside(worker.address().text());
  for (int i = 0; i < 20; ++i) {
    UdpPeer another;
    another.send_to(worker.address(), "new");
    CHECK(worker.received_by(beside) == "new");
  }
  CHECK_FALSE(worker.listening.receive());
}

TEST_CASE("udp listener: a drain ends sessions that are silent, well before the idle timeout") {
  UdpPeer client, upstream;
  UdpWorker worker({.endpoints = {upstream.address()}, .idle_timeout = 1h});
  ask(worker, client, upstream);
  const auto begin = std::chrono::steady_clock::now();
  worker.listener->drain();
  worker.listener->drain();
  REQUIRE(worker.is_empty());
  CHECK(std::chrono::steady_clock::now() - begin >= proxy::udp::UdpListener::kDrainIdle - 50ms);
  CHECK(worker.listener_metric("connections_cut_total") == 0);
}

TEST_CASE("udp listener: what is cut is counted") {
  UdpPeer client, other, upstream;
  UdpWorker worker({.endpoints = {upstream.address()}});
  ask(worker, client, upstream);
  ask(worker, other, upstream);
  worker.listener->cut_connections();
  CHECK(worker.held.count() == 0);
  CHECK(worker.listener_metric("connections_cut_total") == 2);
  CHECK(worker.listener_metric("connections_active") == 0);
}

TEST_CASE("udp listener: without an endpoint datagrams are dropped and counted") {
  UdpPeer client;
  UdpWorker worker({.endpoints = {}});
  client.send_to(worker.address(), "?");
  CHECK(worker.until([&] { return worker.dropped("no_endpoint") == 1; }));
  CHECK(worker.listener_metric("connections_active") == 0);
  CHECK(worker.held.count() == 0);
}

TEST_CASE("udp listener: what the kernel dropped because a queue was full is counted once") {
  UdpPeer client, upstream;
  UdpWorker worker({.endpoints = {upstream.address()}});
  const int small = 8192;
  REQUIRE(::setsockopt(worker.listening.fd(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small) == 0);
  constexpr int kSent = 500;
  for (int i = 0; i < kSent; ++i) client.send_to(worker.address(), "x");
  const auto received = [&] {
    return fixture::metric(*worker.stats,
                           R"(baton_udp_datagrams_received_total{listener="front"})");
  };
  CHECK(worker.until([&] { return received() + worker.dropped("receive_queue") == kSent; }));
  CHECK(worker.dropped("receive_queue") > 0);
}
