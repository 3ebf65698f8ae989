#include "proxy/move/arrivals.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <optional>
#include <random>

#include "proto/seqpacket.h"
#include "proxy/http/http_worker.h"
#include "proxy/http/router/upstream_request.h"
#include "proxy/move/address_bytes.h"
#include "tests/unit/fixture/single_worker.h"

using namespace baton;
using namespace std::chrono_literals;

namespace {

// A worker without a listener, and whatever claims to be the old generation's at the other end.
struct Arrival {
  Arrival() {
    auto ends = proto::make_pair();
    REQUIRE(ends);
    old.emplace(loop.ref(), std::move(ends->first), "test");
    arrivals.emplace(proxy::Arrivals::Options{.loop = loop.ref(),
                                              .channel = std::move(ends->second),
                                              .old_process = {},
                                              .listeners = listeners,
                                              .http = http,
                                              .counters = counters,
                                              .hooks = hooks,
                                              .over = [this](proxy::Arrivals&) { over = true; }});
  }

  // Verdicts on one record with these descriptors; nothing: the request has failed.
  std::optional<proto::MoveVerdicts> offer(const proto::MoveBatch& batch,
                                           std::span<const int> fds = {}) {
    std::optional<proto::MoveVerdicts> verdicts;
    bool answered = false;
    old->request<proto::MoveVerdicts>(proto::MOVE_PREPARE, batch, fds, 10s,
                                      [&](const auto& answer, const proto::Fds&) {
                                        answered = true;
                                        if (answer) verdicts = *answer;
                                      });
    REQUIRE(fixture::run_until(loop, [&] { return answered; }));
    return verdicts;
  }

  proxy::EventLoop loop;
  std::unique_ptr<proxy::StatsStore> stats{*proxy::StatsStore::open(os::UniqueFd(), 0)};
  std::unique_ptr<proxy::StatsLane> lane{stats->claim_lane()};
  proxy::Buffer scratch{4096};
  proxy::http::HttpWorker http{
      {.loop = loop.ref(), .scratch = scratch, .stats = *stats, .lane = *lane}};
  proxy::MoveCounters counters{*stats, *lane};
  proxy::Arrivals::Listeners listeners;
  proxy::MoveHooks hooks;
  bool over = false;
  std::optional<proto::Channel> old;
  std::optional<proxy::Arrivals> arrivals;
};

// Old's process, for who watches it.
struct OldProcess {
  OldProcess() {
    if (pid == 0) {
      ::pause();
      ::_exit(0);
    }
    REQUIRE(pid > 0);
    pidfd.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    REQUIRE(pidfd.valid());
  }
  ~OldProcess() { die(); }
  void die() {
    if (pid <= 0) return;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    pid = 0;
  }

  pid_t pid = ::fork();
  os::UniqueFd pidfd;
};

// A worker with a TCP listener, and an old generation that offers it tunnels.
struct TunnelArrival {
  TunnelArrival() {
    auto ends = proto::make_pair();
    REQUIRE(ends);
    old.emplace(worker.loop.ref(), std::move(ends->first), "test");
    listeners.push_back(std::move(worker.listener));
    os::UniqueFd watched(::fcntl(process.pidfd.get(), F_DUPFD_CLOEXEC, 0));
    pidfd = watched.get();
    arrivals.emplace(proxy::Arrivals::Options{.loop = worker.loop.ref(),
                                              .channel = std::move(ends->second),
                                              .old_process = std::move(watched),
                                              .listeners = listeners,
                                              .http = worker.http,
                                              .counters = counters,
                                              .hooks = hooks,
                                              .over = [this](proxy::Arrivals&) { over = true; }});
  }
  // Its listener goes back, since the worker looks at it when it goes.
  ~TunnelArrival() {
    arrivals.reset();
    worker.listener = std::move(listeners.front());
  }

  // Whether one tunnel has been accepted; nothing: the request has failed.
  std::optional<bool> offer(std::uint64_t batch) {
    proto::MoveBatch offered;
    offered.set_id(batch);
    proto::ConnectionRecord& record = *offered.add_connections();
    record.set_kind(proto::TCP_TUNNEL);
    record.set_schema(1);
    record.set_listener("front");
    record.set_cluster("back");
    record.set_client(proxy::to_address_bytes(server.address));
    record.set_endpoint(proxy::to_address_bytes(server.address));
    std::optional<bool> accepted;
    bool answered = false;
    old->request<proto::MoveVerdicts>(proto::MOVE_PREPARE, offered,
                                      std::array{client.first.get(), upstream.first.get()}, 10s,
                                      [&](const auto& answer, const proto::Fds&) {
                                        answered = true;
                                        if (answer)
                                          accepted = answer->verdicts(0) == proto::MOVE_ACCEPTED;
                                      });
    REQUIRE(worker.until([&] { return answered; }));
    return accepted;
  }

  fixture::ListeningSocket server = fixture::listen_on("127.0.0.1:0");
  fixture::SingleWorker worker{{.endpoints = {{.address = server.address}}}};
  OldProcess process;
  std::pair<os::UniqueFd, os::UniqueFd> client = fixture::make_socketpair();
  std::pair<os::UniqueFd, os::UniqueFd> upstream = fixture::make_socketpair();
  proxy::MoveCounters counters{*worker.stats, *worker.lane};
  proxy::Arrivals::Listeners listeners;
  proxy::MoveHooks hooks;
  bool over = false;
  int pidfd = -1;  // the worker's own copy
  std::optional<proto::Channel> old;
  std::optional<proxy::Arrivals> arrivals;
};

}  // namespace

TEST_CASE(
    "arrivals: what is unknown or malformed is rejected by its reason, and the channel lives") {
  Arrival arrival;
  const auto pair = fixture::make_socketpair();
  proto::MoveBatch batch;
  proto::ConnectionRecord& record = *batch.add_connections();
  record.set_schema(1);
  proto::MoveVerdict expected = proto::MOVE_UNKNOWN_KIND;
  std::vector<int> fds{pair.first.get()};
  SUBCASE("a kind of a later release") { record.set_kind(static_cast<proto::MoveKind>(99)); }
  SUBCASE("a schema of a later release") {
    record.set_kind(proto::IDLE_UPSTREAM);
    record.set_schema(2);
  }
  SUBCASE("a client without an address") {
    record.set_kind(proto::HTTP_IDLE);
    expected = proto::MOVE_MALFORMED;
  }
  SUBCASE("an endpoint without an address") {
    record.set_kind(proto::IDLE_UPSTREAM);
    expected = proto::MOVE_MALFORMED;
  }
  SUBCASE("a tunnel with one leg") { record.set_kind(proto::TCP_TUNNEL); }
  SUBCASE("no listener of that name") {
    record.set_kind(proto::HTTP_IDLE);
    record.set_client(std::string("\2\0\0\7\177\0\0\1\0\0\0\0\0\0\0\0", 16));
    expected = proto::MOVE_NO_LISTENER;
  }
  const auto verdicts = arrival.offer(batch, fds);
  REQUIRE(verdicts);
  REQUIRE(verdicts->verdicts_size() == 1);
  CHECK(verdicts->verdicts(0) == expected);
  CHECK_FALSE(arrival.over);
}

TEST_CASE("arrivals: behind one of an unknown kind the others keep their descriptors") {
  Arrival arrival;
  const auto pair = fixture::make_socketpair();
  const int fd = pair.first.get();
  proto::MoveBatch batch;
  batch.add_connections()->set_kind(static_cast<proto::MoveKind>(99));
  proto::ConnectionRecord& known = *batch.add_connections();
  known.set_kind(proto::HTTP_IDLE);
  known.set_schema(1);
  known.set_client(std::string("\2\0\0\7\177\0\0\1\0\0\0\0\0\0\0\0", 16));
  proto::MoveVerdict expected = proto::MOVE_NO_LISTENER;
  SUBCASE("it says how many it has") { batch.mutable_connections(0)->set_descriptors(3); }
  SUBCASE("it does not say it") { expected = proto::MOVE_UNKNOWN_KIND; }
  SUBCASE("it says more than there are") {
    batch.mutable_connections(0)->set_descriptors(5);
    expected = proto::MOVE_UNKNOWN_KIND;
  }
  const auto verdicts = arrival.offer(batch, std::vector{fd, fd, fd, fd});
  REQUIRE(verdicts);
  CHECK(verdicts->verdicts(0) == proto::MOVE_UNKNOWN_KIND);
  CHECK(verdicts->verdicts(1) == expected);
}

TEST_CASE("arrivals: a commit of what was never offered ends the channel") {
  Arrival arrival;
  proto::MoveDecision decision;
  decision.set_id(7);
  REQUIRE(arrival.old->notify(proto::MOVE_COMMIT, decision));
  CHECK(fixture::run_until(arrival.loop, [&] { return arrival.over; }));
}

TEST_CASE("arrivals: a batch that is offered twice ends the channel, and nothing stays counted") {
  TunnelArrival arrival;
  REQUIRE(arrival.offer(1) == true);
  CHECK(arrival.worker.listener_metric("connections_active") == 1);
  CHECK_FALSE(arrival.offer(1));
  CHECK(arrival.worker.until([&] { return arrival.over; }));
  CHECK(arrival.worker.listener_metric("connections_active") == 0);
  CHECK(arrival.worker.cluster_metric("connections_active") == 0);
}

TEST_CASE("arrivals: nothing watches old's process any more once that has died") {
  TunnelArrival arrival;
  REQUIRE(arrival.offer(1) == true);
  arrival.old->close();
  const auto watched = [&] { return fixture::epoll_registrations(arrival.pidfd); };
  REQUIRE(arrival.worker.until([&] { return watched() == 1; }));
  SUBCASE("its connections are this worker's") {
    arrival.process.die();
    CHECK(arrival.worker.until([&] { return arrival.over; }));
    CHECK(arrival.listeners.front()->sessions().size() == 1);
    CHECK(watched() == 0);
  }
  SUBCASE("or this worker ends first") {
    arrival.arrivals.reset();
    CHECK(watched() == 0);
  }
}

TEST_CASE("arrivals: what old has aborted ahead of its channel's end is not started when it dies") {
  TunnelArrival arrival;
  REQUIRE(arrival.offer(1) == true);
  proto::MoveDecision decision;
  decision.set_id(1);
  arrival.old->set_last_words(proto::MOVE_ABORT, decision);
  arrival.old->fail("test");
  arrival.process.die();
  CHECK(arrival.worker.until([&] { return arrival.over; }));
  CHECK(arrival.listeners.front()->sessions().empty());
}

TEST_CASE("arrivals: 3000 garbled batches crash nothing and leak nothing") {
  const std::size_t before = fixture::open_descriptors();
  {
    Arrival arrival;
    const auto pair = fixture::make_socketpair();
    std::minstd_rand chance{1};
    for (int i = 0; i < 3000; ++i) {
      proto::MoveBatch batch;
      batch.set_id(chance() % 4);
      std::vector<int> fds;
      for (unsigned j = chance() % 3; j < 3; ++j) {
        proto::ConnectionRecord& record = *batch.add_connections();
        record.set_kind(static_cast<proto::MoveKind>(chance() % 6));
        record.set_schema(chance() % 8 == 0 ? 2 : 1);
        record.set_client(std::string(chance() % 32, static_cast<char>(chance())));
        record.set_endpoint(std::string(chance() % 32, static_cast<char>(chance())));
        record.mutable_upstream()->set_last_activity_ms(chance() * std::uint64_t{chance()});
        if (chance() % 4 == 0) record.set_descriptors(chance() % 4);
        if (chance() % 3 != 0) fds.push_back(pair.first.get());
      }
      CHECK(arrival.offer(batch, fds));
    }
    CHECK_FALSE(arrival.over);
  }
  CHECK(fixture::open_descriptors() == before);
}
