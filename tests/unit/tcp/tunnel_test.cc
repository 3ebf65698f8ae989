#include <doctest/doctest.h>

#include "tests/unit/fixture/single_worker.h"

using namespace baton;
using namespace baton::fixture;
using namespace std::chrono_literals;

namespace {

// A client, a proxy and a server with one tunnel between them.
struct Tunnel {
  explicit Tunnel(SingleWorker::Options options = {}, const char* listen = "127.0.0.1:0",
                  const char* serve = "127.0.0.1:0")
      : upstream(listen_on(serve)) {
    options.endpoints = {{.address = upstream.address}};
    options.listen = listen;
    worker = std::make_unique<SingleWorker>(options);
    client = worker->connect();
    server = worker->accept(upstream);
    REQUIRE(worker->until([&] { return worker->cluster_metric("connections_total") == 1; }));
  }

  // Writes all of `bytes` at one end and reads it at the other, no faster than `step` at a time.
  bool carries(TestPeer& from, TestPeer& to, std::string_view bytes, std::size_t step = SIZE_MAX) {
    std::size_t written = 0;
    const std::size_t before = to.received().size();
    const bool arrived = worker->until([&] {
      if (written < bytes.size()) written += from.write(bytes.substr(written));
      to.read(step);
      return to.received().size() - before >= bytes.size();
    });
    return arrived && std::string_view(to.received()).substr(before) == bytes;
  }

  ListeningSocket upstream;
  std::unique_ptr<SingleWorker> worker;
  TestPeer client;
  TestPeer server;
};

std::size_t buffered(Tunnel& tunnel) {
  proxy::TunnelState& state = tunnel.worker->only_session().state();
  return state.downstream.unsent.capacity() + state.upstream->unsent.capacity();
}

}  // namespace

TEST_CASE("tunnel: bytes pass both ways over every kind of socket") {
  const struct {
    const char* listen;
    const char* serve;
  } rows[] = {
      {"127.0.0.1:0", "127.0.0.1:0"},
      {"[::1]:0", "127.0.0.1:0"},
      {"127.0.0.1:0", "[::1]:0"},
      {"unix:@baton-test-down", "127.0.0.1:0"},
      {"127.0.0.1:0", "unix:@baton-test-up"},
      {"unix:@baton-test-down", "unix:@baton-test-up"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.listen);
    CAPTURE(row.serve);
    Tunnel tunnel({}, row.listen, row.serve);
    CHECK(tunnel.carries(tunnel.client, tunnel.server, "a question"));
    CHECK(tunnel.carries(tunnel.server, tunnel.client, "an answer"));
    tunnel.client.close();
    CHECK(tunnel.worker->sees(tunnel.server, Peer::Ended));
    tunnel.server.close();
    CHECK(tunnel.worker->is_empty());
  }
}

TEST_CASE("tunnel: an end from the client arrives after its bytes; the answer still comes") {
  Tunnel tunnel;
  tunnel.client.write("question");
  tunnel.client.end();
  REQUIRE(tunnel.worker->sees(tunnel.server, Peer::Ended));
  CHECK(tunnel.server.received() == "question");
  CHECK(tunnel.carries(tunnel.server, tunnel.client, "a late answer"));
  CHECK(tunnel.client.state() == Peer::Open);
  tunnel.server.close();
  CHECK(tunnel.worker->sees(tunnel.client, Peer::Ended));
  CHECK(tunnel.worker->is_empty());
}

TEST_CASE("tunnel: an end from the server arrives after its bytes; the client may go on") {
  Tunnel tunnel;
  tunnel.server.write("greeting");
  tunnel.server.end();
  REQUIRE(tunnel.worker->sees(tunnel.client, Peer::Ended));
  CHECK(tunnel.client.received() == "greeting");
  CHECK(tunnel.carries(tunnel.client, tunnel.server, "and another thing"));
  tunnel.client.close();
  CHECK(tunnel.worker->sees(tunnel.server, Peer::Ended));
  CHECK(tunnel.worker->is_empty());
}

TEST_CASE("tunnel: an end behind bytes that wait for a slow reader comes last") {
  Tunnel tunnel;
  const std::string bytes = pattern(20'000'000, 1);
  std::size_t written = 0;
  bool ended = false;
  REQUIRE(tunnel.worker->until([&] {
    if (written < bytes.size())
      written += tunnel.server.write(std::string_view(bytes).substr(written));
    if (written == bytes.size() && !std::exchange(ended, true)) tunnel.server.close();
    return tunnel.client.read(65'536) == Peer::Ended;
  }));
  CHECK(tunnel.client.received() == bytes);
  tunnel.client.close();
  CHECK(tunnel.worker->is_empty());
}

TEST_CASE("tunnel: a reset of one side resets the other") {
  Tunnel from_client;
  from_client.client.reset();
  CHECK(from_client.worker->sees(from_client.server, Peer::Reset));
  CHECK(from_client.worker->is_empty());

  Tunnel from_server;
  from_server.server.reset();
  CHECK(from_server.worker->sees(from_server.client, Peer::Reset));
  CHECK(from_server.worker->is_empty());
}

TEST_CASE("tunnel: what a server said before it reset arrives before the reset") {
  // Whether the proxy finds out by reading from the server or by writing to it depends on which of
  // the two sockets became ready first.
  for (const bool client_first : {true, false}) {
    CAPTURE(client_first);
    Tunnel tunnel;
    SingleWorker& worker = *tunnel.worker;
    // Unread input makes close() a reset, behind an answer that is complete.
    tunnel.client.write("a long upload");
    REQUIRE(worker.until([&] { return worker.cluster_metric("sent_bytes_total") == 13; }));
    settle(worker.loop);
    if (client_first) tunnel.client.write("goes on and on");
    tunnel.server.write("413 too large");
    tunnel.server.close();
    if (!client_first) tunnel.client.write("goes on and on");
    CHECK(worker.sees(tunnel.client, Peer::Reset));
    CHECK(tunnel.client.received() == "413 too large");
    CHECK(worker.is_empty());
  }
}

TEST_CASE("tunnel: what a client said before it reset arrives before the reset") {
  for (const bool server_first : {true, false}) {
    CAPTURE(server_first);
    Tunnel tunnel;
    SingleWorker& worker = *tunnel.worker;
    tunnel.server.write("something that it does not read");
    REQUIRE(worker.until([&] { return worker.listener_metric("sent_bytes_total") == 31; }));
    settle(worker.loop);
    if (server_first) tunnel.server.write("and on and on");
    tunnel.client.write("thank you, enough");
    tunnel.client.close();
    if (!server_first) tunnel.server.write("and on and on");
    CHECK(worker.sees(tunnel.server, Peer::Reset));
    CHECK(tunnel.server.received() == "thank you, enough");
    CHECK(worker.is_empty());
  }
}

TEST_CASE("tunnel: a slow reader stops the other side, nothing is lost and memory stays bounded") {
  const std::string bytes = pattern(50'000'000, 2);
  for (const bool towards_client : {true, false}) {
    CAPTURE(towards_client);
    Tunnel tunnel;
    TestPeer& from = towards_client ? tunnel.server : tunnel.client;
    TestPeer& to = towards_client ? tunnel.client : tunnel.server;
    std::size_t written = 0;
    std::size_t most = 0;
    // Nobody reads: the writer must come to a halt.
    std::size_t still = 0;
    REQUIRE(tunnel.worker->until([&] {
      const std::size_t taken = from.write(std::string_view(bytes).substr(written));
      written += taken;
      still = taken == 0 ? still + 1 : 0;
      most = std::max(most, buffered(tunnel));
      return still > 100;
    }));
    CHECK(written < bytes.size());
    REQUIRE(tunnel.worker->until([&] {
      if (written < bytes.size()) written += from.write(std::string_view(bytes).substr(written));
      to.read(100'000);
      most = std::max(most, buffered(tunnel));
      return to.received().size() >= bytes.size();
    }));
    CHECK(to.received() == bytes);
    CHECK(most <= 2 * proxy::Worker::kScratchBytes);
    settle(tunnel.worker->loop);
    CHECK(buffered(tunnel) == 0);
  }
}

TEST_CASE("tunnel: both directions at once, each slower than the other side writes") {
  Tunnel tunnel;
  const std::string up = pattern(10'000'000, 3);
  const std::string down = pattern(10'000'000, 4);
  std::size_t up_written = 0;
  std::size_t down_written = 0;
  REQUIRE(tunnel.worker->until([&] {
    up_written +=
        up_written < up.size() ? tunnel.client.write(std::string_view(up).substr(up_written)) : 0;
    down_written += down_written < down.size()
                        ? tunnel.server.write(std::string_view(down).substr(down_written))
                        : 0;
    tunnel.server.read(70'000);
    tunnel.client.read(50'000);
    return tunnel.server.received().size() >= up.size() &&
           tunnel.client.received().size() >= down.size();
  }));
  CHECK(tunnel.server.received() == up);
  CHECK(tunnel.client.received() == down);
  tunnel.client.close();
  tunnel.server.close();
  CHECK(tunnel.worker->is_empty());
  CHECK(tunnel.worker->listener_metric("received_bytes_total") == 10'000'000);
  CHECK(tunnel.worker->listener_metric("sent_bytes_total") == 10'000'000);
}

TEST_CASE("tunnel: the idle timeout closes it, activity of either side puts it off") {
  Tunnel tunnel({.idle_timeout = 500ms});
  const auto begun = std::chrono::steady_clock::now();
  REQUIRE(tunnel.worker->until([&] {
    tunnel.server.write(".");
    tunnel.client.read();
    return std::chrono::steady_clock::now() - begun > 1200ms;
  }));
  CHECK(tunnel.client.state() == Peer::Open);
  const auto silent = std::chrono::steady_clock::now();
  CHECK(tunnel.worker->sees(tunnel.client, Peer::Ended));
  CHECK(std::chrono::steady_clock::now() - silent > 400ms);
  CHECK(tunnel.worker->sees(tunnel.server, Peer::Ended));
  CHECK(tunnel.worker->is_empty());
}

TEST_CASE("tunnel: idle with bytes that were not taken, it ends in a reset: they were not all") {
  Tunnel tunnel({.idle_timeout = 150ms});
  const std::string bytes(8'000'000, 'x');
  const auto give = [&](TestPeer& from) {
    std::size_t given = 0;
    for (std::size_t last = 1; last > 0; given += last) {
      last = from.write(std::string_view(bytes).substr(given));
      settle(tunnel.worker->loop);
    }
  };
  SUBCASE("by the client") {
    give(tunnel.server);
    REQUIRE(tunnel.worker->is_empty());
    CHECK(tunnel.worker->sees(tunnel.client, Peer::Reset));
  }
  SUBCASE("by the server") {
    give(tunnel.client);
    REQUIRE(tunnel.worker->is_empty());
    CHECK(tunnel.worker->sees(tunnel.server, Peer::Reset));
  }
}

TEST_CASE("tunnel: what came in time counts, though the process was kept from looking") {
  Tunnel tunnel({.idle_timeout = 150ms});
  REQUIRE(tunnel.carries(tunnel.client, tunnel.server, "question"));
  tunnel.server.write("answer");
  const auto begun = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - begun < 300ms) continue;  // the loop does not run
  CHECK(tunnel.worker->receives(tunnel.client, 6));
  CHECK(tunnel.carries(tunnel.client, tunnel.server, "more"));
}

TEST_CASE("tunnel: counts return to zero, totals equal what happened") {
  const std::size_t before = open_descriptors();
  {
    Tunnel tunnel;
    CHECK(tunnel.carries(tunnel.client, tunnel.server, "four"));
    CHECK(tunnel.carries(tunnel.server, tunnel.client, "nine char"));
    SingleWorker& worker = *tunnel.worker;
    CHECK(worker.listener_metric("connections_active") == 1);
    CHECK(worker.cluster_metric("connections_active") == 1);
    CHECK(metric(*worker.stats, "baton_connections_held") != 0);
    tunnel.client.close();
    tunnel.server.close();
    REQUIRE(worker.is_empty());
    CHECK(worker.listener_metric("connections_active") == 0);
    CHECK(worker.cluster_metric("connections_active") == 0);
    CHECK(worker.listener_metric("connections_total") == 1);
    CHECK(worker.listener_metric("connection_duration_seconds") == 1);
    CHECK(worker.cluster_metric("connections_total") == 1);
    CHECK(worker.cluster_metric("connect_seconds") == 1);
    CHECK(worker.listener_metric("received_bytes_total") == 4);
    CHECK(worker.listener_metric("sent_bytes_total") == 9);
    CHECK(worker.cluster_metric("received_bytes_total") == 9);
    CHECK(worker.cluster_metric("sent_bytes_total") == 4);
  }
  CHECK(open_descriptors() == before);
}

TEST_CASE("tunnel: cutting resets both sides and counts it") {
  Tunnel tunnel;
  tunnel.worker->listener->cut_connections();
  CHECK(tunnel.worker->sees(tunnel.client, Peer::Reset));
  CHECK(tunnel.worker->sees(tunnel.server, Peer::Reset));
  CHECK(tunnel.worker->is_empty());
  CHECK(tunnel.worker->listener_metric("connections_cut_total") == 1);
}
