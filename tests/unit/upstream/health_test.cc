#include <cerrno>
#include <optional>
#include <vector>

#include "proxy/upstream/health_checker.h"
#include "proxy/upstream/health_record.h"
#include "proxy/upstream/local_shortage.h"
#include "tests/unit/fixture/loop_driver.h"
#include "tests/unit/fixture/sockets.h"
#include "tests/unit/in_child.h"
#include "tests/unit/region/fixture.h"
#include "tests/unit/upstream/members.h"

using namespace baton;
using namespace baton::fixture;
using namespace baton::proxy;
using namespace std::chrono_literals;
using Health = EndpointState::Health;

namespace {

constexpr char kUnknown = '?';
constexpr auto kInCharge = HealthChecker::Role::InCharge;
constexpr auto kWarmUp = HealthChecker::Role::WarmUp;

// Follows results ("+" and "-") and writes down the health after each ("H", "U").
std::string history(Health health, const std::string& results) {
  const HealthCheckConfig config{.healthy_threshold = 2, .unhealthy_threshold = 3};
  HealthRecord record{.health = health};
  std::string text;
  for (const char result : results) {
    record = record.after(result == '+' ? CheckResult::Success : CheckResult::Failure, config);
    health = record.health;
    text += health == Health::Healthy ? 'H' : health == Health::Unhealthy ? 'U' : kUnknown;
  }
  return text;
}

struct Checked final : HealthChecker::Sink {
  explicit Checked(const os::SocketAddress& address, const HealthCheckConfig& check = {},
                   bool send_proxy_protocol = false)
      : Checked(address, check, send_proxy_protocol, os::UniqueFd(), 0) {}
  // As the generation in this slot of the region.
  Checked(const os::SocketAddress& address, const HealthCheckConfig& check,
          const region::Region& region, std::uint32_t slot)
      : Checked(address, check, false, region::duplicate(region.fd()), slot) {}
  Checked(const os::SocketAddress& address, const HealthCheckConfig& check,
          bool send_proxy_protocol, os::UniqueFd region, std::uint32_t slot)
      : stats(*StatsStore::open(std::move(region), slot)),
        config(check),
        endpoint(std::make_shared<const Endpoint>(
            Endpoint{.address = address, .state = shared.state_of("back", address.text())})),
        checker(loop.ref(), {config, name, shared, *this, send_proxy_protocol}, endpoint) {}

  void on_checked(HealthChecker&, CheckResult result) override { results.push_back(result); }

  Health health() const { return endpoint->state->health(); }
  bool done(std::size_t count = 1) {
    return run_until(loop, [&] { return results.size() >= count; });
  }
  TestPeer accepted(const ListeningSocket& server) {
    os::UniqueFd fd;
    REQUIRE(run_until(loop, [&] {
      fd = accept_from(server);
      return fd.valid();
    }));
    return TestPeer(std::move(fd));
  }
  // One check, over HTTP, that the server answers like this.
  void check_once(const ListeningSocket& server, std::string_view status) {
    TestPeer peer = accepted(server);
    REQUIRE(run_until(loop, [&] {
      peer.read();
      return peer.received().ends_with("\r\n\r\n");
    }));
    const std::size_t before = results.size();
    peer.write("HTTP/1.1 " + std::string(status) + " Status\r\n\r\n");
    REQUIRE(done(before + 1));
  }

  EventLoop loop;
  std::unique_ptr<StatsStore> stats;
  SharedState shared{*stats};
  std::string name = "back";
  HealthCheckConfig config;
  std::shared_ptr<const Endpoint> endpoint;
  std::vector<CheckResult> results;
  HealthChecker checker;
};

HealthCheckConfig http_check() {
  return {
      .type = HealthCheckConfig::Type::Http, .path = "/up", .host = "a.example", .interval = 1h};
}

}  // namespace

TEST_CASE("health: every result in every state") {
  CHECK(history(Health::Unknown, "+") == "H");
  CHECK(history(Health::Unknown, "-") == "U");
  CHECK(history(Health::Healthy, "--+---") == "HHHHHU");
  CHECK(history(Health::Unhealthy, "+-++") == "UUUH");
  CHECK(history(Health::Healthy, "---++") == "HHUUH");
  CHECK(history(static_cast<Health>(77), "+") == "?");  // damaged memory: forgotten
  // A streak of the other kind is left from before the last verdict.
  const HealthRecord stale{.health = Health::Healthy, .streak = 7 << 1U};
  CHECK(stale.after(CheckResult::Failure, {.unhealthy_threshold = 2}).health == Health::Healthy);
}

TEST_CASE("tcp check: a connection is enough, and is closed") {
  const ListeningSocket server = listen_on("127.0.0.1:0");
  Checked check(server.address, {.interval = 1h});
  const std::uint64_t epoch = check.shared.epoch();
  check.checker.start(kInCharge);
  REQUIRE(check.done());
  CHECK(check.health() == Health::Healthy);
  CHECK(check.shared.epoch() != epoch);
  TestPeer peer = check.accepted(server);
  CHECK(run_until(check.loop, [&] { return peer.read() == Peer::Ended; }));
}

TEST_CASE("tcp check: a refused connection is a failure") {
  const ListeningSocket server = bound_but_not_listening();
  Checked check(server.address, {.interval = 1h});
  check.checker.start(kInCharge);
  REQUIRE(check.done());
  CHECK(check.health() == Health::Unhealthy);
}

TEST_CASE("check: no address to connect from is the endpoint's failure, no port is not") {
  const auto address = *os::SocketAddress::parse("[::1]:9");
  CHECK(test::in_child([&] {
          if (!test::enter_network_without_ipv6()) return 0;
          Checked check(address, {.interval = 1h});
          check.checker.start(kInCharge);
          return check.done() && check.health() == Health::Unhealthy ? 0 : 1;
        }) == 0);
  CHECK(is_local_shortage(EADDRNOTAVAIL, *os::SocketAddress::parse("127.0.0.1:9")));
}

TEST_CASE("check: it is repeated, and thresholds count") {
  const ListeningSocket server = bound_but_not_listening();
  Checked check(server.address, {.interval = 10ms, .unhealthy_threshold = 3});
  check.endpoint->state->slot().health.store(1);
  check.checker.start(kInCharge);
  REQUIRE(check.done(2));
  CHECK(check.health() == Health::Healthy);
  REQUIRE(check.done(3));
  CHECK(check.health() == Health::Unhealthy);
}

TEST_CASE("check: a successor goes on counting where the one before has stopped") {
  const ListeningSocket server = bound_but_not_listening();
  Checked check(server.address, {.interval = 10ms, .unhealthy_threshold = 3});
  check.endpoint->state->slot().health.store(1);
  check.checker.start(kInCharge);
  REQUIRE(check.done(2));
  check.checker.stop();
  HealthChecker successor(check.loop.ref(), {check.config, check.name, check.shared, check},
                          check.endpoint);
  successor.start(kInCharge);
  REQUIRE(check.done(3));
  CHECK(check.health() == Health::Unhealthy);
}

TEST_CASE("http check: a verdict by another check counts for nobody who asks something else") {
  const ListeningSocket server = listen_on("127.0.0.1:0");
  const auto region = region::make_region();
  HealthCheckConfig wrong = http_check();
  wrong.path = "/wrong";
  Checked old(server.address, wrong, *region, 1);
  old.checker.start(kInCharge);
  old.check_once(server, "404");
  CHECK(old.health() == Health::Unhealthy);

  Checked corrected(server.address, http_check(), *region, 2);
  CHECK(corrected.health() == Health::Unknown);
  corrected.checker.start(kWarmUp);
  SUBCASE("when it has been found out") {
    corrected.check_once(server, "200");
    CHECK(corrected.health() == Health::Healthy);
    CHECK(old.health() == Health::Unhealthy);  // is in charge, and goes by its own
    corrected.checker.start(kInCharge);
  }
  SUBCASE("in charge it is found out at once") {
    corrected.checker.stop();
    corrected.checker.start(kInCharge);
    CHECK(old.health() == Health::Unhealthy);
    static_cast<void>(accept_from(server));
    corrected.check_once(server, "200");
  }
  CHECK(corrected.health() == Health::Healthy);
  old.checker.stop();
  CHECK(old.health() == Health::Healthy);

  // It is back in charge, for the other one has failed.
  corrected.checker.stop();
  old.checker.start(kInCharge);
  CHECK(old.health() == Health::Unknown);
  CHECK(corrected.health() == Health::Healthy);
  old.check_once(server, "404");
  CHECK(old.health() == Health::Unhealthy);
  CHECK(corrected.health() == Health::Unhealthy);
}

TEST_CASE("http check: what a warm-up finds out is its own generation's until that is in charge") {
  const ListeningSocket server = listen_on("127.0.0.1:0");
  const auto region = region::make_region();
  Checked old(server.address, http_check(), *region, 1);
  HealthCheckConfig wrong = http_check();
  wrong.path = "/wrong";
  Checked candidate(server.address, wrong, *region, 2);
  candidate.checker.start(kWarmUp);
  candidate.check_once(server, "404");
  CHECK(candidate.health() == Health::Unhealthy);
  CHECK(old.health() == Health::Unknown);
  old.checker.start(kInCharge);
  old.check_once(server, "200");
  CHECK(old.health() == Health::Healthy);
  CHECK(candidate.health() == Health::Unhealthy);
}

TEST_CASE(
    "http check: what the one before has found out meanwhile is not replaced by a warm-up's") {
  const ListeningSocket server = listen_on("127.0.0.1:0");
  const auto region = region::make_region();
  Checked candidate(server.address, http_check(), *region, 2);
  candidate.checker.start(kWarmUp);
  candidate.check_once(server, "200");
  Checked old(server.address, http_check(), *region, 1);
  SUBCASE("by the same check") {
    old.checker.start(kInCharge);
    old.check_once(server, "404");
    CHECK(candidate.health() == Health::Healthy);
    candidate.checker.start(kInCharge);
    CHECK(candidate.health() == Health::Unhealthy);
  }
  SUBCASE("nothing") {
    candidate.checker.start(kInCharge);
    CHECK(old.health() == Health::Healthy);
  }
}

TEST_CASE("http check: a verdict counts whatever the intervals, and if nobody knows the check") {
  const ListeningSocket server = listen_on("127.0.0.1:0");
  const auto region = region::make_region();
  Checked old(server.address, http_check(), *region, 1);
  old.checker.start(kInCharge);
  old.check_once(server, "404");
  HealthCheckConfig config = http_check();
  config.interval = 2h;
  config.timeout = 7s;
  config.healthy_threshold = 9;
  Checked patient(server.address, config, *region, 2);
  CHECK(patient.health() == Health::Unhealthy);
  config.expected_status = 404;
  Checked other(server.address, config, *region, 3);
  CHECK(other.health() == Health::Unknown);
  old.endpoint->state->slot().check.store(0);
  config.expected_status = 403;
  Checked late(server.address, config, *region, 4);
  CHECK(late.health() == Health::Unhealthy);
}

TEST_CASE("check: who stays in charge is not overruled by one that has given up") {
  const ListeningSocket server = bound_but_not_listening();
  const auto region = region::make_region();
  Checked old(server.address, {.interval = 10ms}, *region, 1);
  old.endpoint->state->slot().health.store(1);
  old.endpoint->state->slot().check.store(12345);
  old.checker.start(kInCharge);
  REQUIRE(old.done(1));
  CHECK(old.health() == Health::Unhealthy);
  old.endpoint->state->slot().health.store(1);
  old.endpoint->state->slot().check.store(12345);
  REQUIRE(old.done(3));
  CHECK(old.health() == Health::Unhealthy);
}

TEST_CASE("http check: a cluster with PROXY headers gets one that says the check is our own") {
  const ListeningSocket server = listen_on("127.0.0.1:0");
  Checked check(server.address, http_check(), true);
  check.checker.start(kInCharge);
  TestPeer peer = check.accepted(server);
  const std::string begin =
      std::string("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", 16) + "GET /up HTTP/1.1\r\n";
  REQUIRE(run_until(check.loop, [&] {
    peer.read();
    return peer.received().size() >= begin.size();
  }));
  CHECK(peer.received().starts_with(begin));
}

TEST_CASE("http check: whatever the answer, it says whether the endpoint is healthy") {
  const struct {
    const char* answer;
    bool good;
  } rows[] = {
      {"HTTP/1.1 200 OK\r\n\r\n", true},
      {"HTTP/1.0 200\r\n", true},
      {"HTTP/1.1 204 No\r\n\r\n", false},
      {"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", true},
      {"HTTP/1.1 102 P\r\n\r\nHTTP/1.1 103 H\r\n\r\nHTTP/1.1 500 No\r\n\r\n", false},
      {"HTTP/1.1 103 Early Hints\r\n\r\n", false},
      {"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n", false},
      {"HTTP/1.1 101 Switching Protocols\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", false},
      {"HTTP/1.1 2000 OK\r\n", false},
      {"HTTP/2 200 OK\r\n", false},
      {"HTTP/1.1 abc\r\n", false},
      {"\n", false},
      {"HTTP/1.1\n", false},
      {"", false},
  };
  for (const auto& row : rows) {
    CAPTURE(row.answer);
    const ListeningSocket server = listen_on("127.0.0.1:0");
    Checked check(server.address, http_check());
    check.checker.start(kInCharge);
    TestPeer peer = check.accepted(server);
    CHECK(run_until(check.loop, [&] {
      peer.read();
      return peer.received() ==
             "GET /up HTTP/1.1\r\nHost: a.example\r\nUser-Agent: baton-health-check\r\n"
             "Connection: close\r\n\r\n";
    }));
    peer.write(row.answer);
    peer.end();
    REQUIRE(check.done());
    CHECK((check.health() == Health::Healthy) == row.good);
  }
}

TEST_CASE("http check: the answer may come in pieces, but its first line has an end") {
  const ListeningSocket server = listen_on("127.0.0.1:0");
  Checked check(server.address, http_check());
  check.checker.start(kInCharge);
  TestPeer peer = check.accepted(server);
  for (const char byte : std::string("HTTP/1.1 200 OK\r\n")) {
    CHECK(check.results.empty());
    peer.write({&byte, 1});
    settle(check.loop);
  }
  REQUIRE(check.done());
  CHECK(check.health() == Health::Healthy);

  Checked endless(server.address, http_check());
  endless.checker.start(kInCharge);
  TestPeer talker = endless.accepted(server);
  talker.write("HTTP/1.1 200 " + std::string(10'000, 'x'));
  REQUIRE(endless.done());
  CHECK(endless.health() == Health::Healthy);  // it has said enough
}

TEST_CASE("http check: an endpoint that says nothing has failed when the time is up") {
  const ListeningSocket server = listen_on("127.0.0.1:0");
  HealthCheckConfig config = http_check();
  config.timeout = 30ms;
  Checked check(server.address, config);
  check.checker.start(kInCharge);
  REQUIRE(check.done());
  CHECK(check.health() == Health::Unhealthy);
}

TEST_CASE("http check: an answer that came while this process was kept from running is in time") {
  const ListeningSocket server = listen_on("127.0.0.1:0");
  HealthCheckConfig config = http_check();
  config.timeout = 1s;
  Checked check(server.address, config);
  check.checker.start(kInCharge);
  SUBCASE("the answer") {
    TestPeer peer = check.accepted(server);
    REQUIRE(run_until(check.loop, [&] {
      peer.read();
      return !peer.received().empty();
    }));
    peer.write("HTTP/1.1 200 OK\r\n\r\n");
    stall(1200ms);
  }
  SUBCASE("the connection: then the answer has the time that it would have had") {
    stall(1200ms);
    TestPeer peer = check.accepted(server);
    settle(check.loop);
    peer.write("HTTP/1.1 200 OK\r\n\r\n");
  }
  REQUIRE(check.done());
  CHECK(check.health() == Health::Healthy);
}

TEST_CASE("check: one that is stopped says nothing and holds nothing") {
  const ListeningSocket server = listen_on("127.0.0.1:0");
  Checked check(server.address, http_check());
  check.checker.start(kInCharge);
  TestPeer peer = check.accepted(server);
  check.checker.stop();
  CHECK(run_until(check.loop, [&] { return peer.read() == Peer::Ended; }));
  CHECK(check.results.empty());
  CHECK(check.health() == Health::Unknown);
}
