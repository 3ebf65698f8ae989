#include <doctest/doctest.h>

#include "proto/seqpacket.h"
#include "proxy/move/session_borrower.h"
#include "proxy/move/session_lender.h"
#include "tests/unit/fixture/loop_driver.h"
#include "tests/unit/fixture/sockets.h"
#include "tests/unit/udp/udp_worker.h"

using namespace baton;
using fixture::UdpPeer;
using fixture::UdpWorker;
using namespace std::chrono_literals;

namespace {

using Listeners = std::vector<std::unique_ptr<proxy::udp::UdpListener>>;

// One side: a worker, and what it needs to lend or borrow.
struct Side {
  explicit Side(const UdpWorker::Options& options)
      : worker(options), counters(*worker.stats, *worker.lane) {
    listeners.push_back(std::move(worker.listener));
  }
  proxy::udp::UdpListener& listener() { return *listeners.front(); }
  std::size_t sessions() { return listener().sessions().size(); }
  std::int64_t active() const { return worker.listener_metric("connections_active"); }

  UdpWorker worker;
  Listeners listeners;
  proxy::MoveCounters counters;
};

// Two generations with one worker each, which share the listener's socket.
struct Generations {
  explicit Generations(UdpWorker::Options options = {})
      : old(with_endpoint(options)), next(options) {
    next.listener().hold();
    next.listener().accept_on(old.worker.listening.fd());
  }
  UdpWorker::Options& with_endpoint(UdpWorker::Options& options) {
    if (options.endpoints.empty()) options.endpoints = {upstream.address()};
    return options;
  }

  // A session of old's for the client, that the upstream has heard of.
  void open(UdpPeer& client, std::string_view question = "?") {
    client.send_to(old.worker.address(), question);
    REQUIRE(heard_by(upstream) == question);
  }
  void begin_to_lend() {
    auto ends = proto::make_pair();
    REQUIRE(ends);
    old.listener().release(old.worker.listening.fd());
    borrower = std::make_unique<proxy::SessionBorrower>(
        proxy::SessionBorrower::Options{.loop = next.worker.loop.ref(),
                                        .channel = std::move(ends->second),
                                        .listeners = next.listeners,
                                        .counters = next.counters,
                                        .hooks = hooks,
                                        .settled = [this] {
                                          settled = true;
                                          next.listener().read();
                                        }});
    lender = std::make_unique<proxy::SessionLender>(
        proxy::SessionLender::Options{.loop = old.worker.loop.ref(),
                                      .channel = std::move(ends->first),
                                      .sockets = {old.worker.listening.fd()},
                                      .listeners = old.listeners,
                                      .counters = old.counters,
                                      .hooks = hooks});
  }
  void lend() {
    begin_to_lend();
    REQUIRE(until([&] { return settled; }));
  }
  bool until(const std::function<bool()>& happened) {
    return fixture::run_until(old.worker.loop, [&] {
      next.worker.loop.ref().run(ev::NOWAIT);
      return happened();
    });
  }
  std::string heard_by(UdpPeer& peer) {
    std::optional<std::string> datagram;
    REQUIRE(until([&] {
      datagram = peer.receive();
      return datagram.has_value();
    }));
    return *datagram;
  }

  UdpPeer upstream;
  Side old, next;
  proxy::MoveHooks hooks;
  bool settled = false;
  std::unique_ptr<proxy::SessionBorrower> borrower;
  std::unique_ptr<proxy::SessionLender> lender;
};

// A lender alone: the test has the channel's other end.
proxy::SessionLender lender_of(Generations& both, os::UniqueFd channel) {
  return proxy::SessionLender({.loop = both.old.worker.loop.ref(),
                               .channel = std::move(channel),
                               .sockets = {both.old.worker.listening.fd()},
                               .listeners = both.old.listeners,
                               .counters = both.old.counters,
                               .hooks = both.hooks});
}

}  // namespace

TEST_CASE("session loan: new goes on through the same upstream socket, old keeps the count") {
  Generations both;
  UdpPeer client;
  both.open(client);
  const os::SocketAddress before = both.upstream.last();
  both.lend();
  CHECK(both.next.sessions() == 1);
  client.send_to(both.old.worker.address(), "on probation");
  CHECK(both.heard_by(both.upstream) == "on probation");
  CHECK(both.upstream.last() == before);
  both.upstream.answer("an answer");
  CHECK(both.heard_by(client) == "an answer");
  CHECK(client.last() == both.old.worker.address());
  CHECK(both.old.active() == 1);
  CHECK(both.next.active() == 0);
  CHECK(both.next.worker.held.count() == 0);
}

TEST_CASE("session loan: at the commit the count moves, and old lets go of the socket") {
  const std::size_t before = fixture::open_descriptors();
  UdpWorker::Options options;
  options.cluster.limits.connections = 9;  // else nobody counts them
  Generations both(options);
  UdpPeer clients[3];
  for (UdpPeer& client : clients) both.open(client);
  both.lend();
  const std::size_t lent = fixture::open_descriptors();
  CHECK(lent > before);
  both.lender->commit();
  REQUIRE(both.until([&] { return both.next.active() == 3; }));
  CHECK(both.old.active() == 0);
  CHECK(both.old.sessions() == 0);
  CHECK(both.old.worker.held.count() == 0);
  CHECK(both.next.worker.held.count() == 3);
  CHECK(both.next.worker.cluster_metric("connections_active") == 3);
  CHECK(both.next.worker.cluster_metric("connections_total") == 0);
  CHECK(both.next.worker.cluster->in_use(proxy::Circuit::Connections) == 3);
  // Of each session, and of the socket that they had replied through.
  CHECK(fixture::open_descriptors() == lent - 3 - 1);
}

TEST_CASE("session loan: one that has moved has no place any more when its socket is closed") {
  Generations both;
  UdpPeer client;
  both.open(client);
  std::unique_ptr<proxy::udp::Session> moved;
  both.old.listener().sessions().for_each([&](proxy::udp::Session& session) {
    session.freeze();
    moved = both.old.listener().has_moved(session);
  });
  REQUIRE(moved);
  CHECK(both.old.active() == 0);
  CHECK(both.old.worker.held.count() == 0);
  const std::size_t before = fixture::open_descriptors();
  moved.reset();
  CHECK(fixture::open_descriptors() == before - 1);
}

TEST_CASE("session loan: a commit that comes early waits for the rest") {
  Generations both;
  std::vector<UdpPeer> clients(proxy::SessionLender::kLargestBatch * 2 + 1);
  for (UdpPeer& client : clients) both.open(client);
  both.begin_to_lend();
  both.lender->commit();
  CHECK(both.old.sessions() == clients.size());
  REQUIRE(both.until([&] { return both.old.sessions() == 0; }));
  CHECK(
      both.until([&] { return both.next.active() == static_cast<std::int64_t>(clients.size()); }));
}

TEST_CASE("session loan: what the queue cannot take while sessions are lent is counted") {
  Generations both;
  UdpPeer client;
  both.open(client);
  both.begin_to_lend();
  const UdpWorker& next = both.next.worker;
  const int small = 8192;
  REQUIRE(::setsockopt(both.old.worker.listening.fd(), SOL_SOCKET, SO_RCVBUF, &small,
                       sizeof small) == 0);
  constexpr int kSent = 500;
  for (int i = 0; i < kSent; ++i) client.send_to(both.old.worker.address(), "x");
  const auto received = [&] {
    return fixture::metric(*next.stats, R"(baton_udp_datagrams_received_total{listener="front"})");
  };
  CHECK(both.until([&] { return received() + next.dropped("receive_queue") == kSent; }));
  CHECK(next.dropped("receive_queue") > 0);
}

TEST_CASE("session loan: when new is gone old goes on, with what has waited in the socket") {
  Generations both;
  UdpPeer client;
  both.open(client);
  both.lend();
  // Nothing is read in between.
  both.borrower.reset();
  both.next.listener().cut_connections();
  both.upstream.answer("meanwhile");
  CHECK(both.heard_by(client) == "meanwhile");
  CHECK(both.old.active() == 1);
  CHECK(both.next.worker.listener_metric("connections_cut_total") == 0);
}

TEST_CASE("session loan: when old is gone before the commit they are new's") {
  Generations both;
  UdpPeer client;
  both.open(client);
  both.lend();
  both.lender.reset();
  REQUIRE(both.until([&] { return both.next.active() == 1; }));
  CHECK(both.next.worker.held.count() == 1);
}

TEST_CASE("session loan: what old takes back ends in new") {
  Generations both;
  UdpPeer client;
  both.open(client);
  both.lend();
  both.lender->end();
  REQUIRE(both.until([&] { return both.next.sessions() == 0; }));
  both.upstream.answer("old again");
  CHECK(both.heard_by(client) == "old again");
  CHECK(both.next.active() == 0);
}

TEST_CASE("session loan: those that end in new are gone in old, and have not moved") {
  Generations both({.idle_timeout = 500ms});
  UdpPeer clients[3];
  for (UdpPeer& client : clients) both.open(client);
  both.lend();
  REQUIRE(both.until([&] { return both.next.sessions() == 0; }));
  CHECK(both.until([&] { return both.old.active() == 0 && both.old.sessions() == 0; }));
  both.lender->commit();
  fixture::settle(both.next.worker.loop);
  CHECK(both.next.active() == 0);
  CHECK(both.old.worker.stats->private_moves().out == 0);
  CHECK(both.next.worker.stats->private_moves().in == 0);
}

TEST_CASE("session loan: one that has ended in new may come back there while it is lent") {
  Generations both({.idle_timeout = 500ms});
  UdpPeer client;
  both.open(client);
  both.lend();
  REQUIRE(both.until([&] { return both.old.sessions() == 0; }));
  client.send_to(both.old.worker.address(), "again");
  CHECK(both.heard_by(both.upstream) == "again");
  CHECK(both.next.active() == 1);
  both.lender->commit();
  fixture::settle(both.next.worker.loop);
  CHECK(both.next.active() == 1);
  CHECK(both.next.worker.stats->private_moves().in == 0);
}

TEST_CASE("session loan: a shortage that passes costs no session its move") {
  Generations both;
  std::vector<UdpPeer> clients(proxy::SessionLender::kLargestBatch + 6);
  for (UdpPeer& client : clients) both.open(client);
  auto ends = proto::make_pair();
  REQUIRE(ends);
  std::vector<int> sizes;
  bool all = false;
  proto::Channel next(both.next.worker.loop.ref(), std::move(ends->second), "test");
  next.handle<proto::SessionBatch>(
      proto::SESSIONS_LEND,
      [&](const proto::SessionBatch& batch, const proto::Fds&, const proto::Responder& answer) {
        sizes.push_back(batch.sessions_size());
        if (sizes.size() <= 2) return answer.fail(proto::ErrorReply::FAILED, "too many open files");
        proto::MoveVerdicts verdicts;
        for (int i = 0; i < batch.sessions_size(); ++i) verdicts.add_verdicts(proto::MOVE_ACCEPTED);
        answer.reply(verdicts);
      });
  next.handle<proto::SessionsEvent>(
      proto::SESSIONS_LENT,
      [&](const proto::SessionsEvent&, const proto::Fds&, const proto::Responder&) { all = true; });
  const proxy::SessionLender lender = lender_of(both, std::move(ends->first));
  REQUIRE(both.until([&] { return all; }));
  CHECK(sizes == std::vector{64, 32, 16, 32, 22});
}

TEST_CASE("session loan: who says that what was not lent has ended gets all back, and is told so") {
  Generations both;
  UdpPeer client;
  both.open(client);
  auto ends = proto::make_pair();
  REQUIRE(ends);
  const proxy::SessionLender lender = lender_of(both, std::move(ends->first));
  proto::Channel liar(both.next.worker.loop.ref(), std::move(ends->second), "liar");
  bool told = false;
  liar.handle<proto::SessionsEvent>(proto::SESSIONS_RETURN,
                                    [&](const proto::SessionsEvent&, const proto::Fds&,
                                        const proto::Responder&) { told = true; });
  proto::SessionBatch batch;
  batch.add_sessions()->set_listener("front");
  liar.notify(proto::SESSIONS_ENDED, batch);
  CHECK(both.until([&] { return lender.over() && told; }));
  CHECK(both.old.sessions() == 1);
}

TEST_CASE("session loan: the idle timeout goes on where it was") {
  Generations both({.idle_timeout = 2s});
  UdpPeer client;
  both.open(client);
  const auto opened = std::chrono::steady_clock::now();
  const auto later = opened + 1s;
  REQUIRE(both.until([&] { return std::chrono::steady_clock::now() > later; }));
  both.lend();
  both.lender->commit();
  REQUIRE(both.until([&] { return both.next.sessions() == 0; }));
  const auto lasted = std::chrono::steady_clock::now() - opened;
  CHECK(lasted >= 1990ms);
  CHECK(lasted < 2900ms);
}

TEST_CASE("session loan: a client that new knows already stays old's") {
  Generations both;
  UdpPeer client;
  both.open(client);
  both.next.listener().read();
  both.old.listener().release(both.old.worker.listening.fd());
  client.send_to(both.old.worker.address(), "too early");
  CHECK(both.heard_by(both.upstream) == "too early");
  both.lend();
  CHECK(both.old.sessions() == 1);
  both.lender->commit();
  CHECK(both.old.sessions() == 1);
  CHECK(fixture::metric(*both.old.worker.stats,
                        R"(baton_connections_move_rejected_total{reason="duplicate"})") == 1);
}

TEST_CASE("session loan: what is no batch closes the channel, and all that was lent is kept") {
  Generations both;
  UdpPeer client;
  both.open(client);
  both.lend();
  both.lender.reset();
  auto ends = proto::make_pair();
  REQUIRE(ends);
  bool settled = false;
  proxy::SessionBorrower borrower({.loop = both.next.worker.loop.ref(),
                                   .channel = std::move(ends->second),
                                   .listeners = both.next.listeners,
                                   .counters = both.next.counters,
                                   .hooks = both.hooks,
                                   .settled = [&] { settled = true; }});
  proto::Channel liar(both.old.worker.loop.ref(), std::move(ends->first), "liar");
  proto::SessionBatch batch;
  batch.add_sessions()->set_schema(1);
  bool closed = false;
  liar.request<proto::MoveVerdicts>(
      proto::SESSIONS_LEND, batch, {}, 10s,
      [&](const auto& answer, const proto::Fds&) { closed = !answer; });
  CHECK(both.until([&] { return closed && settled; }));
  CHECK(both.next.sessions() == 1);
}
