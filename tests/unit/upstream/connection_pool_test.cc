#include "proxy/upstream/connection_pool.h"

#include "tests/unit/fixture/loop_driver.h"
#include "tests/unit/fixture/sockets.h"
#include "tests/unit/upstream/members.h"

using namespace baton;
using namespace baton::fixture;
using namespace baton::proxy;
using namespace std::chrono_literals;

namespace {

struct NoReader final : UpstreamSocket::Reader {
  void on_readable(UpstreamSocket&) override { ++calls; }
  int calls = 0;
};

struct Pool {
  explicit Pool(const IdlePoolConfig& limits = {}) : config(limits) {}

  // Puts a fresh connection to an endpoint into the pool; returns its far end.
  TestPeer park(std::size_t endpoint) {
    auto [near, far] = make_socketpair();
    last_fd = near.get();
    pool.put(std::make_unique<UpstreamSocket>(loop.ref(), std::move(near),
                                              members->endpoints[endpoint],
                                              breaker.try_acquire(Circuit::Connections)));
    return TestPeer(std::move(far));
  }
  std::unique_ptr<UpstreamSocket> take(std::size_t endpoint) {
    auto socket = pool.take(*members->endpoints[endpoint]);
    if (socket) socket->read_by(reader);
    return socket;
  }
  bool shrinks_to(std::size_t size) {
    return run_until(loop, [&] { return pool.size() == size; });
  }
  std::uint32_t counted() const { return breaker.in_use(Circuit::Connections); }

  EventLoop loop;
  NoReader reader;
  CircuitBreaker breaker{CircuitLimits{}};
  std::shared_ptr<ClusterMembers> members = members_of({1, 1, 1});
  IdlePoolConfig config;
  ConnectionPool pool{loop.ref(), config};
  int last_fd = -1;
};

}  // namespace

TEST_CASE("pool: what is put in comes out for the same endpoint, the last one first") {
  Pool pool;
  const TestPeer one = pool.park(0);
  const int first = pool.last_fd;
  const TestPeer two = pool.park(0);
  const int second = pool.last_fd;
  const TestPeer other = pool.park(1);
  CHECK(pool.take(2) == nullptr);
  CHECK(pool.take(0)->fd() == second);
  CHECK(pool.take(0)->fd() == first);
  CHECK(pool.take(0) == nullptr);
  CHECK(pool.pool.size() == 1);
}

TEST_CASE("pool: an endpoint of another snapshot is the same by its address") {
  Pool pool;
  const TestPeer peer = pool.park(1);
  pool.members = members_of({7, 7});
  CHECK(pool.take(1) != nullptr);
}

TEST_CASE("pool: one that the endpoint closes is gone, and no longer counted") {
  Pool pool;
  TestPeer one = pool.park(0);
  const TestPeer two = pool.park(0);
  one.close();
  CHECK(pool.shrinks_to(1));
  CHECK(pool.counted() == 1);
  CHECK(pool.take(0) != nullptr);
  CHECK(pool.counted() == 0);
}

TEST_CASE("pool: input that nobody asked for spoils a connection") {
  Pool pool;
  TestPeer peer = pool.park(0);
  peer.write("HTTP/1.1 408 Request Timeout\r\n\r\n");
  CHECK(pool.shrinks_to(0));
  CHECK(run_until(pool.loop, [&] { return peer.read() != Peer::Open; }));
}

TEST_CASE("pool: one that is taken is its reader's, and costs no registration anew") {
  Pool pool;
  TestPeer peer = pool.park(0);
  settle(pool.loop);
  auto socket = pool.take(0);
  CHECK(epoll_registrations(socket->fd()) == 1);
  peer.write("x");
  CHECK(run_until(pool.loop, [&] { return pool.reader.calls > 0; }));
  char byte = 0;
  CHECK(::recv(socket->fd(), &byte, 1, 0) == 1);
  pool.pool.put(std::move(socket));
  settle(pool.loop);
  CHECK(pool.pool.size() == 1);
}

TEST_CASE(
    "pool: the one that is idle longest makes room, and nothing is kept when the limit is 0") {
  Pool pool({.max_idle_connections = 2});
  TestPeer oldest = pool.park(0);
  const TestPeer two = pool.park(1);
  const TestPeer three = pool.park(2);
  CHECK(pool.pool.size() == 2);
  CHECK(oldest.read() == Peer::Ended);
  Pool none({.max_idle_connections = 0});
  TestPeer refused = none.park(0);
  CHECK(refused.read() == Peer::Ended);
  CHECK(none.counted() == 0);
}

TEST_CASE("pool: one that is idle too long is closed, those used later live on") {
  Pool pool({.idle_timeout = 60ms});
  TestPeer old = pool.park(0);
  const auto parked = std::chrono::steady_clock::now();
  CHECK(pool.shrinks_to(0));
  CHECK(std::chrono::steady_clock::now() - parked >= 45ms);  // the clock's tick is coarse
  CHECK(old.read() == Peer::Ended);
  const TestPeer young = pool.park(0);
  CHECK(pool.pool.size() == 1);
  CHECK(pool.shrinks_to(0));
}

TEST_CASE("pool: an endpoint's connections can be closed, others stay") {
  Pool pool;
  const TestPeer peers[] = {pool.park(0), pool.park(1), pool.park(0)};
  pool.pool.close(*pool.members->endpoints[0]);
  CHECK(pool.pool.size() == 1);
  pool.pool.close_all();
  CHECK(pool.pool.size() == 0);
  CHECK(pool.counted() == 0);
}

TEST_CASE("pool: connections that leave for another process are out of epoll") {
  Pool pool;
  TestPeer peer = pool.park(0);
  settle(pool.loop);
  auto all = pool.pool.take_all();
  REQUIRE(all.size() == 1);
  const os::UniqueFd fd = all[0]->release();
  CHECK(epoll_registrations(fd.get()) == 0);
  all.clear();
  CHECK(peer.read() == Peer::Open);
}
