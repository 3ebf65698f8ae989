#include "proxy/upstream/available_endpoints.h"

#include <string>

#include "tests/unit/upstream/members.h"

using namespace baton;
using namespace baton::proxy;
using baton::fixture::members_of;
using baton::fixture::WithState;
using namespace std::chrono_literals;
using Health = EndpointState::Health;

namespace {

constexpr std::uint64_t kHour = 3'600'000'000'000;

std::string letters(const AvailableEndpoints& available) {
  std::string text;
  for (const auto& candidate : available.candidates()) {
    text += static_cast<char>('a' + candidate.index);
    CHECK(available.contains(candidate.index));
  }
  return text;
}

std::string refreshed(AvailableEndpoints& available, const WithState& cluster) {
  available.refresh(cluster.members);
  return letters(available);
}

}  // namespace

TEST_CASE("available: endpoints that no check has judged are, while no other is") {
  WithState cluster({1, 1, 1});
  AvailableEndpoints unchecked({.ejects = true}, &cluster.shared);
  CHECK(refreshed(unchecked, cluster) == "abc");
  AvailableEndpoints checked({.checked = true, .ejects = true}, &cluster.shared);
  CHECK(refreshed(checked, cluster) == "abc");
  cluster.set_health(0, Health::Unhealthy);
  CHECK(refreshed(checked, cluster) == "bc");
  cluster.eject(1, monotonic_ns() + kHour);
  CHECK(refreshed(checked, cluster) == "c");
  cluster.set_health(1, Health::Healthy);
  CHECK(refreshed(checked, cluster) == "c");
  cluster.eject(1, 0);
  CHECK(refreshed(checked, cluster) == "b");
  cluster.set_health(1, Health::Unhealthy);
  CHECK(refreshed(checked, cluster) == "c");
  cluster.set_health(2, Health::Unhealthy);
  CHECK(refreshed(checked, cluster).empty());
}

TEST_CASE("available: health counts from the next look on") {
  WithState cluster({1, 1, 1});
  AvailableEndpoints available({.checked = true, .ejects = true}, &cluster.shared);
  for (std::size_t i = 0; i < 3; ++i) cluster.set_health(i, Health::Healthy);
  CHECK(refreshed(available, cluster) == "abc");
  const std::uint64_t version = available.version();
  CHECK(refreshed(available, cluster) == "abc");
  CHECK(available.version() == version);
  cluster.set_health(1, Health::Unhealthy);
  CHECK(refreshed(available, cluster) == "ac");
  CHECK(available.version() != version);
  CHECK_FALSE(available.contains(1));
}

TEST_CASE("available: one that is ejected is not, and is again when the time has passed") {
  WithState cluster({1, 1});
  AvailableEndpoints available({.ejects = true}, &cluster.shared);
  const std::uint64_t until = monotonic_ns() + 30'000'000;
  cluster.eject(0, until);
  CHECK(refreshed(available, cluster) == "b");
  AvailableEndpoints without_outlier_detection({}, &cluster.shared);
  CHECK(refreshed(without_outlier_detection, cluster) == "ab");
  while (monotonic_ns() < until) CHECK(!refreshed(available, cluster).empty());
  CHECK(refreshed(available, cluster) == "ab");
}

TEST_CASE("available: below the panic threshold all are") {
  const struct {
    std::uint32_t threshold;
    std::size_t down;
    std::string expected;
  } rows[] = {{0, 4, ""}, {50, 2, "cd"}, {50, 3, "abcd"}, {100, 1, "abcd"}, {100, 0, "abcd"}};
  for (const auto& row : rows) {
    CAPTURE(row.threshold);
    CAPTURE(row.down);
    WithState cluster({1, 1, 1, 1});
    AvailableEndpoints available({.ejects = true, .panic_threshold = row.threshold},
                                 &cluster.shared);
    for (std::size_t i = 0; i < row.down; ++i) cluster.eject(i, monotonic_ns() + kHour);
    CHECK(refreshed(available, cluster) == row.expected);
    CHECK(available.panicking() == (row.down > 0 && row.expected.size() == 4));
  }
}

TEST_CASE("available: another priority's get traffic when too few of those before can") {
  const struct {
    std::uint32_t threshold;
    std::vector<std::size_t> down;
    std::string expected;
    std::string fallbacks;
    bool panicking;
  } rows[] = {
      {0, {}, "bc", "dae", false},         {0, {1}, "c", "dae", false},
      {0, {1, 2}, "d", "ae", false},       {0, {1, 2, 3}, "ae", "", false},
      {0, {0, 1, 2, 3, 4}, "", "", false}, {60, {1}, "d", "cae", false},
      {60, {1, 3, 0}, "bc", "e", true},
  };
  for (const auto& row : rows) {
    CAPTURE(row.expected);
    WithState cluster({1, 1, 1, 1, 1}, {9, 1, 1, 5, 9});
    AvailableEndpoints available({.ejects = true, .panic_threshold = row.threshold},
                                 &cluster.shared);
    for (const std::size_t each : row.down) cluster.eject(each, monotonic_ns() + kHour);
    CHECK(refreshed(available, cluster) == row.expected);
    std::string fallbacks;
    for (const std::uint32_t index : available.fallbacks()) {
      fallbacks += static_cast<char>('a' + index);
      CHECK_FALSE(available.contains(index));
    }
    CHECK(fallbacks == row.fallbacks);
    CHECK(available.panicking() == row.panicking);
  }
}

TEST_CASE("available: a newcomer's weight grows from a tenth to the whole") {
  WithState cluster({5, 5, 5});
  const std::uint64_t now = monotonic_ns();
  cluster.state(0).slot().available_since_ns.store(0);
  cluster.state(1).slot().available_since_ns.store(now - 50'000'000'000);
  cluster.state(2).slot().available_since_ns.store(now);
  AvailableEndpoints available({.ejects = true, .slow_start = 100s}, &cluster.shared);
  available.refresh(cluster.members);
  CHECK(available.candidates()[0].weight == 500);
  CHECK(available.candidates()[1].weight == 250);
  CHECK(available.candidates()[2].weight == 50);
  CHECK(available.weight_sums().back() == 800);
  CHECK_FALSE(available.equal_weights());
}

TEST_CASE("available: other members are looked at anew") {
  WithState cluster({1, 1});
  AvailableEndpoints available({.ejects = true}, &cluster.shared);
  CHECK(refreshed(available, cluster) == "ab");
  available.refresh(members_of({1, 2, 3}));
  CHECK(letters(available) == "abc");
  CHECK(available.weight_sums().back() == 6);
  available.refresh(members_of({}));
  CHECK(letters(available).empty());
}

TEST_CASE("shared state: one object an endpoint, forgotten by all when nobody holds it") {
  const auto stats = *StatsStore::open(os::UniqueFd(), 0);
  SharedState shared(*stats);
  auto state = shared.state_of("back", "10.0.0.1:80");
  CHECK(shared.state_of("back", "10.0.0.1:80") == state);
  CHECK(shared.state_of("other", "10.0.0.1:80") != state);
  state->slot().ejections.store(5);
  state.reset();
  CHECK(shared.state_of("back", "10.0.0.1:80")->slot().ejections == 0);
}
