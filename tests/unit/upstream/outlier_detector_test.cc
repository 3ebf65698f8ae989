#include "proxy/upstream/outlier_detector.h"

#include "proxy/upstream/circuit_breaker.h"
#include "tests/unit/upstream/members.h"

using namespace baton;
using namespace baton::proxy;
using baton::fixture::WithState;
using namespace std::chrono_literals;

namespace {

struct Detector {
  explicit Detector(const OutlierConfig& outliers, std::size_t endpoints = 4)
      : config(outliers), cluster(std::vector<std::uint32_t>(endpoints, 1)) {}

  bool report(std::size_t index, Outcome outcome, int times = 1) {
    bool ejected = false;
    for (int i = 0; i < times; ++i) {
      ejected = detector.report(*cluster.members->endpoints[index], outcome, *cluster.members);
    }
    return ejected;
  }
  bool ejected(std::size_t index) { return cluster.state(index).ejected(monotonic_ns()); }
  // How long it still is, about.
  std::chrono::seconds rest(std::size_t index) {
    const std::uint64_t left = cluster.state(index).ejected_until_ns() - monotonic_ns();
    return std::chrono::round<std::chrono::seconds>(std::chrono::nanoseconds(left));
  }
  // As if its ejection had ended so long ago: no longer than the machine may have been up.
  void ended(std::size_t index, std::chrono::nanoseconds ago) {
    cluster.state(index).slot().ejected_until_ns.store(monotonic_ns() -
                                                       static_cast<std::uint64_t>(ago.count()));
  }

  std::optional<OutlierConfig> config;
  WithState cluster;
  OutlierDetector detector{config, cluster.shared};
};

}  // namespace

TEST_CASE("outliers: so many failures of a kind in a row eject, others do not") {
  Detector detector({.consecutive_5xx = 3, .consecutive_connect_failures = 2});
  CHECK_FALSE(detector.report(0, Outcome::ServerError, 2));
  CHECK_FALSE(detector.report(0, Outcome::Success));
  CHECK_FALSE(detector.report(0, Outcome::ServerError, 2));
  CHECK_FALSE(detector.report(0, Outcome::Connected));  // says nothing about answers
  CHECK(detector.report(0, Outcome::ServerError));
  CHECK(detector.ejected(0));
  CHECK_FALSE(detector.report(1, Outcome::ConnectFailure));
  CHECK_FALSE(detector.report(1, Outcome::Connected));
  CHECK_FALSE(detector.report(1, Outcome::ConnectFailure));
  CHECK_FALSE(detector.ejected(1));
}

TEST_CASE("outliers: what fails while it is ejected had been sent before, and counts for nothing") {
  Detector detector({.consecutive_5xx = 3, .consecutive_connect_failures = 3});
  CHECK(detector.report(0, Outcome::ServerError, 3));
  CHECK_FALSE(detector.report(0, Outcome::ServerError, 10));
  CHECK_FALSE(detector.report(0, Outcome::ConnectFailure, 10));
  detector.ended(0, 1ms);
  CHECK_FALSE(detector.report(0, Outcome::ServerError, 2));
  CHECK(detector.report(0, Outcome::ServerError));
}

TEST_CASE("outliers: each ejection lasts longer, up to the maximum; good times shorten it") {
  Detector detector(
      {.consecutive_connect_failures = 1, .base_ejection_time = 10s, .max_ejection_time = 25s});
  const auto eject = [&] { return detector.report(0, Outcome::ConnectFailure); };
  CHECK(eject());
  CHECK(detector.rest(0) == 10s);
  CHECK_FALSE(eject());  // it is already
  detector.ended(0, 1ms);
  CHECK(eject());
  CHECK(detector.rest(0) == 20s);
  detector.ended(0, 1ms);
  CHECK(eject());
  CHECK(detector.rest(0) == 25s);
  detector.ended(0, 21s);  // two base times
  CHECK(eject());
  CHECK(detector.rest(0) == 20s);
  detector.ended(0, 40s);  // more than there is to step back
  CHECK(eject());
  CHECK(detector.rest(0) == 10s);
}

TEST_CASE("outliers: no more than the ceiling, but one unless it is 0") {
  const struct {
    std::uint32_t percent;
    std::size_t endpoints;
    std::size_t expected;
  } rows[] = {{10, 4, 1}, {50, 4, 2}, {100, 4, 4}, {0, 4, 0}, {10, 30, 3}, {10, 1, 1}};
  for (const auto& row : rows) {
    CAPTURE(row.percent);
    Detector detector({.consecutive_connect_failures = 1, .max_ejection_percent = row.percent},
                      row.endpoints);
    std::size_t ejected = 0;
    for (std::size_t i = 0; i < row.endpoints; ++i) {
      if (detector.report(i, Outcome::ConnectFailure)) ++ejected;
    }
    CHECK(ejected == row.expected);
  }
}

TEST_CASE("outliers: a limit of 0 is none, and so is no configuration") {
  Detector detector({.consecutive_5xx = 0, .consecutive_connect_failures = 0});
  CHECK_FALSE(detector.report(0, Outcome::ServerError, 1000));
  CHECK_FALSE(detector.report(0, Outcome::ConnectFailure, 1000));
  detector.config.reset();
  CHECK_FALSE(detector.report(0, Outcome::ConnectFailure, 1000));
}

TEST_CASE("circuit breaker: an idle connection is in nobody's way, and counts as open") {
  CircuitBreaker breaker({.connections = 1});
  CircuitGuard connection = breaker.try_acquire(Circuit::Connections);
  connection = breaker.acquire_idle();
  CHECK(breaker.in_use(Circuit::Connections) == 0);
  CHECK_FALSE(breaker.too_many_open());
  CircuitGuard another = breaker.try_acquire(Circuit::Connections);
  REQUIRE(another);
  CHECK(breaker.too_many_open());
  another = {};
  CHECK_FALSE(breaker.too_many_open());
}

TEST_CASE("circuit breaker: what is beyond a limit is refused until something is given back") {
  CircuitBreaker breaker({.connections = 2, .pending_requests = 0, .requests = 1, .retries = 3});
  CircuitGuard one = breaker.try_acquire(Circuit::Connections);
  CircuitGuard two = breaker.try_acquire(Circuit::Connections);
  CHECK(one);
  CHECK(two);
  CHECK_FALSE(breaker.try_acquire(Circuit::Connections));
  CHECK(breaker.try_acquire(Circuit::Requests));  // each for itself
  CHECK(breaker.in_use(Circuit::Connections) == 2);
  two = CircuitGuard();
  CHECK(breaker.in_use(Circuit::Connections) == 1);
  const CircuitGuard moved_here = breaker.acquire(Circuit::Connections);
  const CircuitGuard another = breaker.acquire(Circuit::Connections);
  CHECK(breaker.in_use(Circuit::Connections) == 3);
  CHECK_FALSE(breaker.try_acquire(Circuit::Connections));
}

TEST_CASE("circuit breaker: 0 is no limit") {
  CircuitBreaker breaker({.connections = 0, .pending_requests = 0});
  std::vector<CircuitGuard> guards;
  for (int i = 0; i < 5000; ++i) {
    guards.push_back(breaker.try_acquire(Circuit::Connections));
    REQUIRE(guards.back());
    guards.push_back(breaker.try_acquire(Circuit::PendingRequests));
    REQUIRE(guards.back());
  }
  CHECK(breaker.in_use(Circuit::PendingRequests) == 5000);
  CHECK_FALSE(breaker.too_many_open());
}
