#include "shared/region/lane.h"

#include <sys/stat.h>

#include <optional>
#include <thread>
#include <vector>

#include "tests/unit/region/child.h"
#include "tests/unit/region/fixture.h"

namespace baton::region {
namespace {

TEST_CASE("lane: the lowest free one is given, lane 0 to the supervisor only") {
  const auto region = make_region({.lanes = 4, .cells_per_lane = 512, .entries = 4});
  const Lane first = lane_of(*region, 1, 0);
  std::optional<Lane> second = lane_of(*region, 1, 1);
  const Lane third = lane_of(*region, 2, 0);
  CHECK(first.number() == 1);
  CHECK(second->number() == 2);
  CHECK(third.number() == 3);
  CHECK_FALSE(region->claim_lane(2, 1).has_value());
  CHECK(lane_of(*region, kSupervisorSlot).number() == kSupervisorLane);
  second.reset();
  CHECK(lane_of(*region, 2, 1).number() == 2);
}

TEST_CASE("lane: the next owner goes on from its counters, gauges begin at zero") {
  const auto region = make_region();
  const std::uint32_t requests = cell_of(*region, counter("requests_total"), 1);
  const std::uint32_t active = cell_of(*region, gauge("active"), 1);
  {
    const Lane lane = lane_of(*region, 1);
    lane.counter(requests).add(5);
    lane.gauge(active).add(2);
    lane.held().add(2);
    CHECK(region->connections_of(1) == 2);
  }
  CHECK(exported(*region, "requests_total") == 5);
  CHECK(exported(*region, "active") == 0);
  CHECK(exported(*region, "baton_connections_held") == 0);
  const Lane next = lane_of(*region, 2);
  next.counter(requests).add(1);
  CHECK(exported(*region, "requests_total") == 6);
}

TEST_CASE("lane: gauges of several lanes may be negative each, their sum has the meaning") {
  const auto region = make_region();
  const std::uint32_t active = cell_of(*region, gauge("active"), 1);
  const Lane first = lane_of(*region, 1, 0);
  const Lane second = lane_of(*region, 1, 1);
  first.gauge(active).add(3);
  second.gauge(active).sub(2);
  CHECK(exported(*region, "active") == 1);
}

TEST_CASE("lane: held connections are told apart by generation") {
  const auto region = make_region();
  const Lane old_lane = lane_of(*region, 1);
  const Lane new_lanes[] = {lane_of(*region, 2, 0), lane_of(*region, 2, 1)};
  old_lane.held().add(7);
  new_lanes[0].held().add(1);
  new_lanes[1].held().add(2);
  CHECK(region->connections_of(1) == 7);
  CHECK(region->connections_of(2) == 3);
  CHECK(exported(*region, "baton_connections_held") == 10);
}

TEST_CASE("lane: a killed process leaves its counters, its gauges and lanes are reclaimed") {
  const auto region = make_region();
  const std::uint32_t requests = cell_of(*region, counter("requests_total"), 1);
  const std::uint32_t seconds = cell_of(*region, histogram("seconds"), 1);
  const std::uint32_t active = cell_of(*region, gauge("active"), 1);
  const Lane survivor = lane_of(*region, 2);
  survivor.gauge(active).add(1);
  for (int round = 1; round <= 20; ++round) {
    Child child([&](auto reached) {
      const auto own = Region::attach(duplicate(region->fd()));
      const auto first = (*own)->claim_lane(1, 0);
      const auto second = (*own)->claim_lane(1, 1);
      for (const Lane* lane : {&*first, &*second}) {
        for (int i = 0; i < 1000; ++i) lane->counter(requests).add();
        lane->histogram(seconds).record(round);
        lane->gauge(active).add(5);
        lane->held().add(5);
      }
      reached();
      wait_to_be_killed();
    });
    child.wait_until_reached();
    CHECK(region->connections_of(1) == 10);
    child.kill();
    REQUIRE(region->reclaim_dead(1).has_value());
    CHECK(region->connections_of(1) == 0);
    CHECK(exported(*region, "requests_total") == 2000 * round);
    CHECK(exported(*region, "seconds") == 2 * round);
    CHECK(exported(*region, "active") == 1);
  }
  CHECK(lane_of(*region, 1).number() == 2);
}

TEST_CASE("lane: many processes counting at once sum up exactly") {
  constexpr int kProcesses = 6;
  constexpr int kCounts = 50'000;
  const auto region = make_region();
  std::vector<std::unique_ptr<Child>> children;
  for (std::uint32_t slot = 1; slot <= kProcesses; ++slot) {
    children.push_back(std::make_unique<Child>([&](auto) {
      const auto own = Region::attach(duplicate(region->fd()));
      const auto id = (*own)->directory().find_or_add(counter("requests_total"), slot);
      const auto count = [&](std::uint32_t index) {
        const auto lane = (*own)->claim_lane(slot, index);
        for (int i = 0; i < kCounts; ++i) lane->counter(id->first_cell).add();
      };
      std::thread other(count, 1);
      count(0);
      other.join();
    }));
  }
  std::int64_t last = 0;
  for (int i = 0; i < 100; ++i) {
    const std::int64_t now = exported(*region, "requests_total");
    CHECK(now >= (last == 0 ? -1 : last));
    last = std::max(last, now);
  }
  for (const auto& child : children) CHECK(child->finish() == 0);
  CHECK(exported(*region, "requests_total") == 2 * kProcesses * kCounts);
}

TEST_CASE("lane: a crash and a reload under way count exactly with lanes handed on") {
  const auto region = make_region({.lanes = 4, .cells_per_lane = 512, .entries = 8});
  std::int64_t expected = 0;
  for (int round = 0; round < 30; ++round) {
    const std::uint32_t slot = 1 + round % 2;
    const std::uint32_t cell = cell_of(*region, counter("requests_total"), slot);
    Child child([&](auto reached) {
      const auto lane = region->claim_lane(slot, 0);
      for (int i = 0; i <= round; ++i) lane->counter(cell).add();
      reached();
      if (round % 3 == 0) wait_to_be_killed();
    });
    child.wait_until_reached();
    if (round % 3 == 0) {
      child.kill();
    } else {
      child.finish();
    }
    expected += round + 1;
    // The successor has asked for the metric before the dead generation is forgotten.
    cell_of(*region, counter("requests_total"), 3 - slot);
    REQUIRE(region->forget(slot).has_value());
    CHECK(exported(*region, "requests_total") == expected);
  }
}

TEST_CASE("lane: reading costs no memory where nobody counted") {
  const auto region = make_region(Geometry{});
  const auto kilobytes = [&] {
    struct stat status{};
    REQUIRE(::fstat(region->fd(), &status) == 0);
    return status.st_blocks / 2;
  };
  for (int i = 0; i < 300; ++i) cell_of(*region, histogram("h" + std::to_string(i)), 1);
  std::vector<Lane> lanes;
  for (int i = 0; i < 64; ++i) lanes.push_back(lane_of(*region, 1, i));
  lanes[9].histogram(cell_of(*region, histogram("h299"), 1)).record(1);
  const auto before = kilobytes();
  CHECK(exported(*region, "h0") == 0);
  CHECK(exported(*region, "h299") == 1);
  REQUIRE(region->reclaim_dead(2).has_value());
  // Of 64 lanes of a megabyte each: the generation table, and the other page of the histogram.
  CHECK(kilobytes() <= before + 12);
}

}  // namespace
}  // namespace baton::region
