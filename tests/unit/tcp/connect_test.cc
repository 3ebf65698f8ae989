#include <doctest/doctest.h>

#include "tests/unit/fixture/single_worker.h"
#include "tests/unit/in_child.h"

using namespace baton;
using namespace baton::fixture;
using namespace baton::proxy;
using namespace std::chrono_literals;

namespace {

// A server that hangs: its queue is full, so the kernel drops further handshakes.
struct HangingServer {
  HangingServer() : listening(listen_on("127.0.0.1:0", 0)) {
    for (int i = 0; i < 4; ++i) queued.push_back(connect_to(listening.address));
  }
  ListeningSocket listening;
  std::vector<os::UniqueFd> queued;
};

}  // namespace

TEST_CASE("connect: a refused connection goes to the next endpoint, the client notices nothing") {
  const ListeningSocket dead = bound_but_not_listening();
  const ListeningSocket alive = listen_on("127.0.0.1:0");
  SingleWorker worker({.endpoints = {{.address = dead.address}, {.address = alive.address}}});
  for (int i = 0; i < 4; ++i) {
    TestPeer client = worker.connect();
    client.write("hello");
    TestPeer server = worker.accept(alive);
    CHECK(worker.receives(server, 5));
    server.write("welcome");
    CHECK(worker.receives(client, 7));
    client.close();
    server.close();
    CHECK(worker.is_empty());
  }
  CHECK(worker.cluster_metric("connect_failures_total") == 2);
  CHECK(worker.cluster_metric("connections_total") == 4);
}

TEST_CASE("connect: each endpoint is tried once, then the client's connection is closed") {
  const ListeningSocket dead[] = {bound_but_not_listening(), bound_but_not_listening(),
                                  bound_but_not_listening()};
  SingleWorker worker({.endpoints = {{.address = dead[0].address},
                                     {.address = dead[1].address},
                                     {.address = dead[2].address}}});
  TestPeer client = worker.connect();
  CHECK(worker.sees(client, Peer::Ended));
  CHECK(worker.is_empty());
  CHECK(worker.cluster_metric("connect_failures_total") == 3);
  CHECK(worker.cluster_metric("connections_total") == 0);
  CHECK(worker.cluster_metric("connections_active") == 0);
  CHECK(worker.listener_metric("connections_total") == 1);
}

TEST_CASE("connect: an endpoint that hangs times out, the next one is tried") {
  const HangingServer hanging;
  const ListeningSocket alive = listen_on("127.0.0.1:0");
  SingleWorker worker(
      {.endpoints = {{.address = hanging.listening.address}, {.address = alive.address}},
       .connect_timeout = 100ms});
  const auto begun = std::chrono::steady_clock::now();
  const TestPeer client = worker.connect();
  const TestPeer server = worker.accept(alive);
  CHECK(std::chrono::steady_clock::now() - begun >= 100ms);
  CHECK(worker.cluster_metric("connect_timeouts_total") == 1);
  CHECK(worker.cluster_metric("connect_failures_total") == 1);
}

TEST_CASE("connect: when the endpoints change meanwhile, those there are now are tried") {
  const HangingServer hanging;
  const ListeningSocket alive = listen_on("127.0.0.1:0");
  for (const LbPolicy policy : {LbPolicy::RoundRobin, LbPolicy::Maglev}) {
    SingleWorker worker({.endpoints = {{.address = hanging.listening.address}},
                         .connect_timeout = 100ms,
                         .cluster = {.lb_policy = policy}});
    const TestPeer client = worker.connect();
    auto members = std::make_shared<ClusterMembers>();
    members->endpoints.push_back(
        std::make_shared<const Endpoint>(Endpoint{.address = alive.address}));
    worker.managed->shared().members().set(members);
    const TestPeer server = worker.accept(alive);
    CHECK(server.valid());
    CHECK(worker.cluster_metric("connect_timeouts_total") == 1);
  }
}

TEST_CASE("connect: in a panic, too, each endpoint is tried once") {
  const ListeningSocket dead[] = {bound_but_not_listening(), bound_but_not_listening()};
  for (const LbPolicy policy : {LbPolicy::RoundRobin, LbPolicy::LeastRequest, LbPolicy::Random,
                                LbPolicy::RingHash, LbPolicy::Maglev}) {
    CAPTURE(static_cast<int>(policy));
    SingleWorker worker(
        {.endpoints = {{.address = dead[0].address}, {.address = dead[1].address}},
         .cluster = {.lb_policy = policy,
                     .outlier_detection = OutlierConfig{.consecutive_connect_failures = 1,
                                                        .max_ejection_percent = 100},
                     .panic_threshold = 100}});
    for (int i = 1; i <= 2; ++i) {
      TestPeer client = worker.connect();
      CHECK(worker.sees(client, Peer::Ended));
      CHECK(worker.cluster_metric("connect_failures_total") == 2 * i);
    }
  }
}

TEST_CASE("connect: where no address of this machine leads to, that is no want of local ports") {
  CHECK(test::in_child([] {
          if (!test::enter_network_without_ipv6()) return 0;
          const ListeningSocket alive = listen_on("127.0.0.1:0");
          SingleWorker worker({.endpoints = {{.address = *os::SocketAddress::parse("[::1]:9")},
                                             {.address = alive.address}},
                               .connect_timeout = 1h});
          TestPeer client = worker.connect();
          if (!worker.until([&] { return accept_from(alive).valid(); })) return 1;
          return worker.cluster_metric("connect_failures_total") == 1 ? 0 : 2;
        }) == 0);
}

TEST_CASE("connect: a client that leaves while its connection is being made is forgotten") {
  const HangingServer hanging;
  SingleWorker worker(
      {.endpoints = {{.address = hanging.listening.address}}, .connect_timeout = 100ms});
  TestPeer client = worker.connect();
  client.reset();
  CHECK(worker.is_empty());
}

TEST_CASE("connect: cutting ends a connection that is still connecting") {
  const std::size_t before = open_descriptors();
  {
    const HangingServer hanging;
    SingleWorker worker({.endpoints = {{.address = hanging.listening.address}}});
    TestPeer client = worker.connect();
    worker.listener->cut_connections();
    CHECK(worker.sees(client, Peer::Reset));
    CHECK(worker.is_empty());
    CHECK(worker.cluster_metric("connections_active") == 0);
  }
  CHECK(open_descriptors() == before);
}

TEST_CASE("connect: a full queue of a unix socket is waited for") {
  const ListeningSocket upstream = listen_on("unix:@baton-test-queue", 0);
  std::vector<os::UniqueFd> queued;
  os::UniqueFd more(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  while (::connect(more.get(), upstream.address.data(), upstream.address.length()) == 0) {
    queued.push_back(std::move(more));
    more.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  }
  SingleWorker worker({.endpoints = {{.address = upstream.address}}});
  const TestPeer client = worker.connect();
  settle(worker.loop);
  CHECK(worker.cluster_metric("connections_total") == 0);
  while (accept_from(upstream).valid()) {
  }
  CHECK(worker.until([&] { return worker.cluster_metric("connections_total") == 1; }));
  CHECK(worker.cluster_metric("connect_failures_total") == 0);
}

TEST_CASE("connect: what a client sends early is kept by the kernel, not by the proxy") {
  const HangingServer hanging;
  SingleWorker worker({.endpoints = {{.address = hanging.listening.address}}});
  TestPeer client = worker.connect();
  const std::string bytes = pattern(30'000'000, 5);
  std::size_t written = 0;
  for (int i = 0; i < 1000; ++i) {
    written += client.write(std::string_view(bytes).substr(written));
    worker.loop.ref().run(ev::NOWAIT);
  }
  CHECK(written < bytes.size());
  CHECK(worker.listener_metric("received_bytes_total") == 0);
}
