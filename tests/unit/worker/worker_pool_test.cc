#include "proxy/worker/worker_pool.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include "proto/channel.h"
#include "proto/move.pb.h"
#include "proto/seqpacket.h"
#include "proxy/tcp/direct_response.h"
#include "proxy/tcp/tcp_proxy.h"
#include "tests/unit/fixture/loop_driver.h"
#include "tests/unit/fixture/metrics.h"
#include "tests/unit/fixture/sockets.h"

using namespace baton;
using namespace baton::fixture;
using namespace baton::proxy;
using namespace std::chrono_literals;

namespace {

// Workers as threads, with the test as the main thread, the clients and the server.
struct Pool {
  explicit Pool(std::uint32_t workers, const char* address = "127.0.0.1:0",
                std::uint32_t max_connections = 0)
      : upstream(listen_on("127.0.0.1:0")) {
    sockets.push_back(listen_on(address));
    if (!sockets.front().address.is_unix()) {
      for (std::uint32_t i = 1; i < workers; ++i) sockets.push_back(listen_beside(sockets.front()));
    }
    config.workers = workers;
    config.clusters.push_back({.name = "back", .endpoints = {{.address = upstream.address}}});
    config.listeners.push_back({.name = "front",
                                .address = sockets.front().address,
                                .max_connections = max_connections,
                                .filters = {std::make_shared<TcpProxyFactory>("back")}});
    pool = std::make_unique<WorkerPool>(WorkerPoolOptions{
        .main_loop = &main, .config = &config, .stats = stats.get(), .generation = 1});
    pool->start();
  }

  std::vector<WorkerSocket> all() const {
    std::vector<WorkerSocket> list;
    for (std::uint32_t i = 0; i < sockets.size(); ++i) {
      list.push_back({.listener = 0, .index = i, .of = sockets.size(), .fd = sockets[i].fd.get()});
    }
    return list;
  }
  // Calls one of the pool's operations and waits for its `done`.
  template <class Operation>
  bool done(Operation operation) {
    bool finished = false;
    operation([&] { finished = true; });
    return run_until(main, [&] { return finished; });
  }
  bool serve() {
    return done([&](auto finish) { pool->accept_on(all(), finish); });
  }
  bool until(const std::function<bool()>& happened) { return run_until(main, happened); }
  std::vector<TestPeer> connect(int count) const {
    std::vector<TestPeer> clients;
    for (int i = 0; i < count; ++i) clients.emplace_back(connect_to(sockets.front().address));
    return clients;
  }
  std::int64_t active() const {
    return metric(*stats, R"(baton_listener_connections_active{listener="front"})");
  }
  std::int64_t total() const {
    return metric(*stats, R"(baton_listener_connections_total{listener="front"})");
  }

  ListeningSocket upstream;
  std::vector<ListeningSocket> sockets;
  Config config;
  EventLoop main;
  std::unique_ptr<StatsStore> stats = *StatsStore::open(os::UniqueFd(), 0);
  std::unique_ptr<WorkerPool> pool;
};

std::set<std::string> thread_names() {
  std::set<std::string> names;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream file(task.path() / "comm");
    std::string name;
    std::getline(file, name);
    names.insert(name);
  }
  return names;
}

}  // namespace

TEST_CASE("pool: workers are threads with names that take no signal") {
  const Pool pool(2);
  CHECK(pool.pool->size() == 2);
  bool ready = false;
  EventLoop& main = const_cast<EventLoop&>(pool.main);
  pool.pool->ping([&] { ready = true; });
  REQUIRE(run_until(main, [&] { return ready; }));
  const std::set<std::string> names = thread_names();
  CHECK(names.contains("worker-0"));
  CHECK(names.contains("worker-1"));
  int blocked = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream file(task.path() / "status");
    const std::string text(std::istreambuf_iterator<char>(file), {});
    if (!text.starts_with("Name:\tworker-")) continue;
    const std::string mask = text.substr(text.find("SigBlk:\t") + 8, 16);
    // HUP, INT, USR1, TERM: signals 1, 2, 10, 15.
    const unsigned long long wanted = 1ULL << 0 | 1ULL << 1 | 1ULL << 9 | 1ULL << 14;
    if ((std::stoull(mask, nullptr, 16) & wanted) == wanted) ++blocked;
  }
  CHECK(blocked == 2);
}

TEST_CASE("pool: bytes pass through every worker; counts add up and return to zero") {
  Pool pool(4);
  REQUIRE(pool.serve());
  std::vector<TestPeer> clients = pool.connect(200);
  std::vector<TestPeer> servers;
  for (TestPeer& client : clients) client.write("ping");
  REQUIRE(pool.until([&] {
    while (true) {
      os::UniqueFd accepted = accept_from(pool.upstream);
      if (!accepted.valid()) break;
      servers.emplace_back(std::move(accepted));
    }
    return servers.size() == 200;
  }));
  CHECK(pool.pool->connections() == 200);
  for (TestPeer& server : servers) {
    REQUIRE(pool.until([&] {
      server.read();
      return server.received() == "ping";
    }));
    server.write("pong");
  }
  for (TestPeer& client : clients) {
    REQUIRE(pool.until([&] {
      client.read();
      return client.received() == "pong";
    }));
  }
  clients.clear();
  servers.clear();
  CHECK(pool.until([&] { return pool.pool->connections() == 0; }));
  CHECK(pool.active() == 0);
  CHECK(pool.total() == 200);
}

TEST_CASE("pool: every socket is served when there are more of them than workers") {
  Pool pool(2);
  for (int i = 0; i < 3; ++i) pool.sockets.push_back(listen_beside(pool.sockets.front()));
  REQUIRE(pool.serve());
  const std::vector<TestPeer> clients = pool.connect(100);
  CHECK(pool.until([&] { return pool.total() == 100; }));
}

TEST_CASE("pool: all workers share a unix socket") {
  Pool pool(3, "unix:@baton-test-pool");
  REQUIRE(pool.serve());
  const std::vector<TestPeer> clients = pool.connect(60);
  CHECK(pool.until([&] { return pool.total() == 60; }));
}

TEST_CASE("pool: max_connections holds over all workers at every moment, and nobody is refused") {
  constexpr std::size_t kLimit = 10;
  constexpr std::size_t kClients = 120;
  Pool pool(4, "127.0.0.1:0", kLimit);
  REQUIRE(pool.serve());
  std::vector<TestPeer> clients = pool.connect(kClients);
  std::vector<TestPeer> servers;
  std::size_t left = 0;
  bool exact = true;
  REQUIRE(pool.until([&] {
    while (true) {
      TestPeer server(accept_from(pool.upstream));
      if (!server.valid()) break;
      server.write("!");
      servers.push_back(std::move(server));
    }
    // A place is free only when a client has left.
    exact = exact && servers.size() <= kLimit + left;
    if (servers.size() < std::min(kLimit + left, kClients)) return false;
    for (TestPeer& client : clients) {
      if (!client.valid()) continue;
      CHECK(client.read() == Peer::Open);
      if (client.received().empty()) continue;
      client.reset();
      ++left;
      break;
    }
    return left == kClients;
  }));
  CHECK(exact);
  CHECK(pool.until([&] { return pool.pool->connections() == 0; }));
  CHECK(pool.total() == kClients);
  CHECK(pool.active() == 0);
}

TEST_CASE("pool: with the limit reached by one worker the others do not go beyond it") {
  Pool pool(4, "127.0.0.1:0", 5);
  REQUIRE(pool.serve());
  const std::vector<TestPeer> clients = pool.connect(40);
  REQUIRE(pool.until([&] { return pool.pool->connections() == 5; }));
  for (int i = 0; i < 50; ++i) {
    REQUIRE(pool.done([&](auto finish) { pool.pool->ping(finish); }));
    CHECK(pool.pool->connections() == 5);
  }
}

TEST_CASE("pool: released sockets are left alone with their queues until they are served again") {
  Pool pool(2);
  REQUIRE(pool.serve());
  REQUIRE(pool.done([&](auto finish) { pool.pool->release(pool.all(), finish); }));
  const std::vector<TestPeer> clients = pool.connect(20);
  REQUIRE(pool.done([&](auto finish) { pool.pool->ping(finish); }));
  CHECK(pool.total() == 0);
  REQUIRE(pool.serve());
  CHECK(pool.until([&] { return pool.total() == 20; }));
}

TEST_CASE("pool: retiring is done once every queue has been emptied") {
  Pool pool(3);
  const std::vector<TestPeer> clients = pool.connect(150);
  REQUIRE(pool.done([&](auto finish) { pool.pool->retire(pool.all(), finish); }));
  CHECK(pool.total() == 150);
  CHECK(pool.done([&](auto finish) { pool.pool->retire({}, finish); }));
}

TEST_CASE("pool: empty is reported at once, or when the last connection of any worker goes") {
  Pool pool(3);
  REQUIRE(pool.serve());
  CHECK(pool.done([&](auto finish) { pool.pool->when_empty(finish); }));
  std::vector<TestPeer> clients = pool.connect(30);
  REQUIRE(pool.until([&] { return pool.pool->connections() == 30; }));
  bool empty = false;
  pool.pool->when_empty([&] { empty = true; });
  while (!clients.empty()) {
    REQUIRE(pool.done([&](auto finish) { pool.pool->ping(finish); }));
    REQUIRE_FALSE(empty);
    clients.back().reset();
    clients.pop_back();
  }
  CHECK(pool.until([&] { return empty; }));
  CHECK(pool.pool->connections() == 0);
}

TEST_CASE("pool: cutting closes every connection of every worker and counts each") {
  Pool pool(3);
  REQUIRE(pool.serve());
  std::vector<TestPeer> clients = pool.connect(40);
  REQUIRE(pool.until([&] { return pool.pool->connections() == 40; }));
  REQUIRE(pool.done([&](auto finish) { pool.pool->cut_connections(finish); }));
  for (TestPeer& client : clients) CHECK(pool.until([&] { return client.read() != Peer::Open; }));
  CHECK(pool.until([&] { return pool.pool->connections() == 0; }));
  CHECK(metric(*pool.stats, R"(baton_listener_connections_cut_total{listener="front"})") == 40);
}

TEST_CASE("pool: destroying it closes everything; what was asked of it is not answered any more") {
  const std::size_t before = open_descriptors();
  {
    Pool pool(3);
    REQUIRE(pool.serve());
    std::vector<TestPeer> clients = pool.connect(10);
    REQUIRE(pool.until([&] { return pool.pool->connections() == 10; }));
    bool answered = false;
    pool.pool->ping([&] { answered = true; });
    pool.pool->when_empty([&] { answered = true; });
    pool.pool.reset();
    settle(pool.main);
    CHECK_FALSE(answered);
    for (TestPeer& client : clients) CHECK(client.read() != Peer::Open);
    CHECK(pool.active() == 0);
  }
  CHECK(open_descriptors() == before);
}

TEST_CASE("pool: one that was never started goes without a thread") {
  Config config{.workers = 2};
  EventLoop main;
  const std::unique_ptr<StatsStore> stats = *StatsStore::open(os::UniqueFd(), 0);
  const WorkerPool pool({.main_loop = &main, .config = &config, .stats = stats.get()});
  CHECK(pool.connections() == 0);
}

TEST_CASE("pool: told to take no arrivals, it refuses those of a worker that comes later") {
  Pool pool(1);
  REQUIRE(pool.done([&](auto finish) { pool.pool->refuse_arrivals(finish); }));
  pool.pool->drain(1s, DrainStrategy::Immediate);  // re-tuned in that moment: there are no arrivals
  auto ends = proto::make_pair();
  REQUIRE(ends);
  std::vector<os::UniqueFd> channels;
  channels.push_back(std::move(ends->second));
  pool.pool->welcome(std::move(channels), os::UniqueFd());
  proto::Channel old(pool.main.ref(), std::move(ends->first), "test");
  std::optional<proto::CallError::Code> refusal;
  old.request<proto::MoveVerdicts>(
      proto::MOVE_PREPARE, proto::MoveBatch(), {}, 10s, [&](const auto& answer, const proto::Fds&) {
        refusal = answer ? proto::CallError::Code::Closed : answer.error().code;
      });
  REQUIRE(pool.until([&] { return refusal.has_value(); }));
  CHECK(*refusal == proto::CallError::Code::Refused);
}
