#include "proxy/move/departures.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <vector>

#include "proto/seqpacket.h"
#include "tests/unit/http/http_rig.h"

using namespace baton;
using namespace baton::fixture;
using namespace std::chrono_literals;

namespace {

// A worker with an HTTP client, and whatever claims to be its counterpart in new at the other end.
struct Departure {
  Departure() {
    auto ends = proto::make_pair();
    REQUIRE(ends);
    next.emplace(worker().loop.ref(), std::move(ends->second), "test");
    next->handle<proto::MoveBatch>(
        proto::MOVE_PREPARE,
        [this](const proto::MoveBatch& batch, proto::Fds fds, const proto::Responder& answer) {
          sizes.push_back(batch.connections_size());
          std::ranges::move(fds, std::back_inserter(copies));
          unanswered.push_back(answer);
        });
    next->handle<proto::MoveDecision>(
        proto::MOVE_COMMIT,
        [this](const proto::MoveDecision&, proto::Fds, const proto::Responder&) { ++commits; });
    next->handle<proto::MoveDecision>(
        proto::MOVE_ABORT,
        [this](const proto::MoveDecision&, proto::Fds, const proto::Responder&) { ++aborts; });
    listeners.push_back(std::move(worker().listener));
    begin = std::move(ends->first);
  }
  // Its listener goes back, since the worker looks at it when it goes.
  ~Departure() {
    departures.reset();
    worker().listener = std::move(listeners.front());
  }
  SingleWorker& worker() { return *rig.worker; }
  proxy::Session& session() { return listeners.front()->sessions().front(); }
  void depart() {
    departures.emplace(
        proxy::Departures::Options{.loop = worker().loop.ref(),
                                   .channel = std::move(begin),
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
  os::UniqueFd begin;
  std::optional<proto::Channel> next;
  std::vector<int> sizes;
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
    departure.next.reset();
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
    departure.next.reset();
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
