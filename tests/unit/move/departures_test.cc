#include "proxy/move/departures.h"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <algorithm>
#include <deque>
#include <iterator>
#include <list>
#include <optional>
#include <vector>

#include "proto/seqpacket.h"
#include "tests/unit/http/http_rig.h"

using namespace baton;
using namespace baton::fixture;
using namespace std::chrono_literals;

namespace {

// A worker with an HTTP client, and whatever claims to be its counterparts in new at the other
// ends.
struct Departure {
  explicit Departure(std::size_t counterparts = 1) {
    for (std::size_t i = 0; i < counterparts; ++i) add_counterpart(i);
    listeners.push_back(std::move(worker().listener));
  }
  // Its listener goes back, since the worker looks at it when it goes.
  ~Departure() {
    departures.reset();
    worker().listener = std::move(listeners.front());
  }
  void add_counterpart(std::size_t number) {
    auto ends = proto::make_pair();
    REQUIRE(ends);
    begin.push_back(std::move(ends->first));
    proto::Channel& channel =
        next.emplace_back(worker().loop.ref(), std::move(ends->second), "test");
    channel.handle<proto::MoveBatch>(proto::MOVE_PREPARE,
                                     [this, number](const proto::MoveBatch& batch, proto::Fds fds,
                                                    const proto::Responder& answer) {
                                       sizes.push_back(batch.connections_size());
                                       asked.push_back(number);
                                       std::ranges::move(fds, std::back_inserter(copies));
                                       unanswered.push_back(answer);
                                     });
    channel.handle<proto::MoveDecision>(
        proto::MOVE_COMMIT,
        [this, number](const proto::MoveDecision&, proto::Fds, const proto::Responder&) {
          CHECK(number == asked.back());
          ++commits;
        });
    channel.handle<proto::MoveDecision>(
        proto::MOVE_ABORT,
        [this, number](const proto::MoveDecision&, proto::Fds, const proto::Responder&) {
          CHECK(number == asked.back());
          ++aborts;
        });
  }
  SingleWorker& worker() { return *rig.worker; }
  proxy::Session& session() { return listeners.front()->sessions().front(); }
  void depart() {
    departures.emplace(
        proxy::Departures::Options{.loop = worker().loop.ref(),
                                   .channels = std::move(begin),
                                   .listeners = listeners,
                                   .http = worker().http,
                                   .counters = counters,
                                   .drain = worker().drain,
                                   .hooks = hooks,
                                   .settled = [this](proxy::Departures&) { settled = true; }});
  }
  bool is_offered(int connections) {
    return worker().until([&] { return !unanswered.empty() && sizes.back() == connections; });
  }
  // The same verdict on all.
  void answer(proto::MoveVerdict verdict) {
    proto::MoveVerdicts verdicts;
    for (int i = 0; i < sizes.back(); ++i) verdicts.add_verdicts(verdict);
    unanswered.back().reply(verdicts);
    unanswered.pop_back();
  }

  HttpRig rig;
  proxy::Departures::Listeners listeners;
  proxy::MoveCounters counters{*rig.worker->stats, *rig.worker->lane};
  proxy::MoveHooks hooks;
  std::vector<os::UniqueFd> begin;
  std::deque<proto::Channel> next;
  std::vector<int> sizes;            // of the batches, in order,
  std::vector<std::size_t> asked;    // and to whom each was offered
  std::vector<os::UniqueFd> copies;  // new's
  std::vector<proto::Responder> unanswered;
  int commits = 0;
  int aborts = 0;
  bool settled = false;
  std::optional<proxy::Departures> departures;
};

}  // namespace

TEST_CASE("departures: new that did not answer in time gets the connections when it does") {
  Departure departure;
  departure.depart();
  REQUIRE(departure.is_offered(1));
  const proto::Responder late = departure.unanswered.back();
  departure.unanswered.clear();
  // The client goes on here, and no descriptor is on its way to who does not read.
  REQUIRE(departure.is_offered(0));
  CHECK(departure.aborts == 1);
  CHECK(departure.listeners.front()->sessions().size() == 1);
  CHECK(departure.worker().drain.moving() == proxy::Moving::Later);
  late.reply(proto::MoveVerdicts());
  departure.answer(proto::MOVE_ACCEPTED);
  REQUIRE(departure.is_offered(1));
  departure.answer(proto::MOVE_ACCEPTED);
  CHECK(departure.worker().until([&] { return departure.commits == 1; }));
  CHECK(departure.listeners.front()->sessions().empty());
}

TEST_CASE("departures: an end reaches the peers of what new has hung with") {
  Departure departure;
  TestPeer server = departure.rig.ask();
  REQUIRE(departure.rig.send(server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
  REQUIRE(departure.rig.contains(departure.rig.client, "\r\n\r\n"));
  departure.depart();
  REQUIRE(departure.is_offered(2));
  REQUIRE(departure.copies.size() == 2);
  REQUIRE(departure.worker().until([&] { return departure.aborts == 1; }));
  departure.session().cut();
  CHECK(departure.worker().sees(departure.rig.client, Peer::Ended));
  proxy::http::UpstreamPool* const pool = departure.worker().http.find_pool("back");
  proxy::http::UpstreamConnection* const idle = pool->take_out();
  REQUIRE(idle != nullptr);
  pool->close(*idle);
  CHECK(departure.worker().sees(server, Peer::Ended));
}

TEST_CASE("departures: a request under way is followed by the move, without a look in between") {
  Departure departure;
  TestPeer server = departure.rig.ask();
  departure.depart();
  settle(departure.worker().loop);
  CHECK(departure.sizes.empty());
  REQUIRE(departure.rig.send(server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
  REQUIRE(departure.worker().until([&] { return !departure.sizes.empty(); }));
  SUBCASE("it has been frozen at once, with the connection that it used") {
    REQUIRE(departure.is_offered(2));
    departure.answer(proto::MOVE_ACCEPTED);
    CHECK(departure.worker().until([&] { return departure.commits == 1; }));
    CHECK(departure.listeners.front()->sessions().empty());
  }
  SUBCASE("it goes on here if new refuses it") {
    departure.answer(proto::MOVE_NO_LISTENER);
    REQUIRE(departure.worker().until([&] { return departure.commits == 1; }));
    TestPeer again = departure.rig.ask();
    REQUIRE(departure.rig.send(again, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
    CHECK(departure.rig.contains(departure.rig.client, "\r\n\r\nok"));
  }
}

TEST_CASE("departures: while new is slow to answer nobody waits for it") {
  Departure departure;
  TestPeer busy = departure.worker().connect();
  REQUIRE(departure.rig.send(busy, kGet));
  TestPeer server = departure.rig.accept();
  departure.depart();
  REQUIRE(departure.is_offered(1));  // the other one
  const auto is_asked = [&](std::size_t times) {
    return departure.worker().until([&] {
      server.read();
      return server.received().size() >= times && server.received().ends_with("\r\n\r\n");
    });
  };
  REQUIRE(is_asked(1));
  const std::size_t once = server.received().size();
  REQUIRE(departure.rig.send(server, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1"));
  REQUIRE(departure.rig.contains(busy, "\r\n\r\n1"));
  REQUIRE(departure.rig.send(busy, kGet));
  CHECK(is_asked(2 * once));
  CHECK(departure.sizes.size() == 1);
}

TEST_CASE("departures: who has retired offers nothing, and settles what it has offered") {
  Departure departure;
  departure.depart();
  REQUIRE(departure.is_offered(1));
  departure.departures->retire();
  CHECK_FALSE(departure.settled);
  SUBCASE("accepted: it moves") {
    departure.answer(proto::MOVE_ACCEPTED);
    CHECK(departure.worker().until([&] { return departure.settled && departure.commits == 1; }));
    CHECK(departure.listeners.front()->sessions().empty());
  }
  SUBCASE("refused: it is free to go elsewhere") {
    departure.answer(proto::MOVE_NO_LISTENER);
    CHECK(departure.worker().until([&] { return departure.settled; }));
    CHECK_FALSE(departure.session().stays());
  }
  SUBCASE("never answered: it is back") {
    departure.next.clear();
    CHECK(departure.worker().until([&] { return departure.settled; }));
    CHECK_FALSE(departure.session().stays());
  }
}

TEST_CASE("departures: when time is up, what can move is waited for, and nothing else") {
  Departure departure;
  bool done = false;
  const auto finish = [&] { departure.departures->finish([&] { done = true; }); };
  SUBCASE("it is offered first") {
    departure.depart();
    finish();
    REQUIRE(departure.is_offered(1));
    CHECK_FALSE(done);
    departure.answer(proto::MOVE_ACCEPTED);
    CHECK(departure.worker().until([&] { return done; }));
    CHECK(departure.listeners.front()->sessions().empty());
  }
  SUBCASE("a request under way is not waited for") {
    const TestPeer server = departure.rig.ask();
    departure.depart();
    settle(departure.worker().loop);
    const auto begin = std::chrono::steady_clock::now();
    finish();
    CHECK(departure.worker().until([&] { return done; }));
    CHECK(std::chrono::steady_clock::now() - begin < proxy::Departures::kLastTime);
  }
  SUBCASE("new that does not answer is not waited for any longer than that") {
    departure.depart();
    REQUIRE(departure.is_offered(1));
    finish();
    CHECK(departure.worker().until([&] { return done; }));
  }
  SUBCASE("nor one that has died") {
    departure.depart();
    REQUIRE(departure.is_offered(1));
    finish();
    departure.next.clear();
    CHECK(departure.worker().until([&] { return done; }));
    CHECK(departure.listeners.front()->sessions().size() == 1);
  }
}

TEST_CASE("departures: a release that does not know idle upstreams takes the rest of the batch") {
  Departure departure;
  TestPeer server = departure.rig.ask();
  REQUIRE(departure.rig.send(server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
  REQUIRE(departure.rig.contains(departure.rig.client, "\r\n\r\n"));
  TestPeer other = departure.worker().connect();
  departure.depart();
  REQUIRE(departure.is_offered(3));
  proto::MoveVerdicts verdicts;
  for (int i = 0; i < 2; ++i) verdicts.add_verdicts(proto::MOVE_ACCEPTED);
  verdicts.add_verdicts(proto::MOVE_UNKNOWN_KIND);
  departure.unanswered.back().reply(verdicts);
  REQUIRE(departure.worker().until([&] { return departure.commits == 1; }));
  CHECK(departure.listeners.front()->sessions().empty());
  CHECK(server.read() == Peer::Open);
  CHECK(departure.worker().cluster_metric("connections_active") == 1);
}

TEST_CASE("departures: what finds no descriptors is offered again, and goes on here meanwhile") {
  Departure departure;
  departure.depart();
  REQUIRE(departure.is_offered(1));
  departure.unanswered.back().fail(proto::ErrorReply::FAILED, "too many open files");
  departure.unanswered.clear();
  const auto moving = [&] { return departure.worker().drain.moving(); };
  // Halved until it is alone.
  REQUIRE(departure.worker().until([&] {
    if (!departure.unanswered.empty()) {
      departure.unanswered.back().fail(proto::ErrorReply::FAILED, "too many open files");
      departure.unanswered.clear();
    }
    return moving() == proxy::Moving::Later;
  }));
  TestPeer server = departure.rig.ask();
  REQUIRE(departure.rig.send(server, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
  CHECK(departure.rig.contains(departure.rig.client, "\r\n\r\nok"));
  REQUIRE(departure.worker().until([&] { return !departure.unanswered.empty(); }));
  departure.answer(proto::MOVE_ACCEPTED);
  CHECK(departure.worker().until([&] { return departure.commits >= 1; }));
}

TEST_CASE("departures: each of several counterparts gets its share") {
  Departure departure(3);
  std::list<TestPeer> clients;
  // Until so many have moved.
  const auto move = [&](int sessions) {
    for (int i = 1; i < sessions; ++i) clients.push_back(departure.worker().connect());
    departure.depart();
    int moved = 0;
    return departure.worker().until([&] {
      if (departure.unanswered.empty()) return false;
      moved += departure.sizes.back();
      departure.answer(proto::MOVE_ACCEPTED);
      return moved == sessions;
    });
  };
  SUBCASE("of a few") {
    REQUIRE(move(8));
    CHECK(departure.sizes == std::vector{3, 3, 2});
  }
  SUBCASE("of fewer than they are") {
    REQUIRE(move(2));
    CHECK(departure.sizes == std::vector{1, 1});
  }
  SUBCASE("of many") {
    REQUIRE(move(200));
    CHECK(departure.sizes == std::vector{32, 32, 32, 32, 32, 32, 3, 3, 2});
  }
  for (std::size_t i = 1; i < departure.asked.size(); ++i) {
    CHECK(departure.asked[i] == (departure.asked[i - 1] + 1) % 3);
  }
}

TEST_CASE("departures: one of several counterparts fails") {
  Departure departure(3);
  std::list<TestPeer> clients;
  for (int i = 0; i < 5; ++i) clients.push_back(departure.worker().connect());
  departure.depart();
  REQUIRE(departure.is_offered(2));
  SUBCASE("it does not answer in time: it is told so, and nobody is offered more before it lives") {
    const proto::Responder late = departure.unanswered.back();
    departure.unanswered.clear();
    REQUIRE(departure.is_offered(0));
    CHECK(departure.aborts == 1);
    CHECK(departure.asked[1] == departure.asked[0]);
    departure.answer(proto::MOVE_ACCEPTED);
    REQUIRE(departure.is_offered(2));
    REQUIRE(departure.asked.size() == 3);
    CHECK(departure.asked[2] != departure.asked[1]);
  }
  SUBCASE("it has no descriptors: the next one is asked, for less") {
    departure.unanswered.back().fail(proto::ErrorReply::FAILED, "too many open files");
    departure.unanswered.clear();
    REQUIRE(departure.is_offered(1));
    REQUIRE(departure.asked.size() == 2);
    CHECK(departure.asked[1] != departure.asked[0]);
  }
  SUBCASE("another one's channel ends: what is offered is settled, and nothing more is") {
    departure.next.pop_front();
    REQUIRE(departure.asked.back() != 0);
    settle(departure.worker().loop);
    departure.answer(proto::MOVE_ACCEPTED);
    REQUIRE(departure.worker().until([&] { return departure.commits == 1; }));
    settle(departure.worker().loop);
    CHECK(departure.sizes.size() == 1);
    CHECK(departure.listeners.front()->sessions().size() == 4);
  }
}

TEST_CASE("departures: a slice is small after a shortage, and grows again when it has passed") {
  Departure departure;
  std::list<TestPeer> clients;
  for (int i = 1; i < 64; ++i) clients.push_back(departure.worker().connect());
  departure.depart();
  REQUIRE(departure.is_offered(32));
  departure.unanswered.back().fail(proto::ErrorReply::FAILED, "too many open files");
  departure.unanswered.clear();
  REQUIRE(departure.worker().until([&] {
    if (!departure.unanswered.empty()) departure.answer(proto::MOVE_ACCEPTED);
    return departure.commits == 3;
  }));
  CHECK(departure.sizes == std::vector{32, 16, 16, 32});
}

TEST_CASE("departures: those that cannot move stand in no other's way") {
  Departure departure;
  std::list<TestPeer> busy;
  for (int i = 0; i < 3; ++i) {
    busy.push_back(departure.worker().connect());
    REQUIRE(departure.rig.send(busy.back(), kGet));
  }
  std::list<TestPeer> servers;
  for (int i = 0; i < 3; ++i) servers.push_back(departure.rig.accept());
  std::list<TestPeer> idle;
  for (int i = 0; i < 40; ++i) idle.push_back(departure.worker().connect());
  departure.depart();
  REQUIRE(departure.is_offered(32));  // with that of the rig
  // They were ahead of the others, and are behind them now.
  auto& sessions = departure.listeners.front()->sessions();
  REQUIRE(sessions.size() == 12);
  CHECK_FALSE(sessions.back().freeze());
  departure.answer(proto::MOVE_ACCEPTED);
  REQUIRE(departure.is_offered(9));
  departure.answer(proto::MOVE_ACCEPTED);
  CHECK(departure.worker().until([&] { return departure.commits == 2; }));
  CHECK(sessions.size() == 3);
  // In a later round.
  REQUIRE(departure.rig.send(servers.front(), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
  CHECK(departure.worker().until([&] { return !departure.unanswered.empty(); }));
}

TEST_CASE("departures: new that breaks the protocol gets the abort ahead of the channel's end") {
  Departure departure;
  departure.depart();
  REQUIRE(departure.is_offered(1));
  REQUIRE(::send(departure.next.front().fd(), "?", 1, 0) == 1);
  CHECK(departure.worker().until([&] { return departure.aborts == 1; }));
  CHECK(departure.listeners.front()->sessions().size() == 1);
}
