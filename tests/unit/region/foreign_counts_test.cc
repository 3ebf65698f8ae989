#include "shared/region/foreign_counts.h"

#include <array>
#include <vector>

#include "tests/unit/region/fixture.h"

namespace baton::region {
namespace {

struct Supervisor {
  explicit Supervisor(const Geometry& geometry = kSmall)
      : region(make_region(geometry)),
        lane(lane_of(*region, kSupervisorSlot)),
        foreign(region.get(), &lane) {}

  bool add(std::uint32_t slot, const MetricDescription& metric, std::int64_t change) {
    return foreign.add(slot, metric, {&change, 1});
  }
  std::int64_t value(const std::string& name) const {
    auto samples = snapshot(*region);
    REQUIRE(samples.has_value());
    merge(*samples, foreign.samples());
    for (const auto& sample : *samples) {
      if (full_name(sample.description) == name) return static_cast<std::int64_t>(sample.cells[0]);
    }
    return -1;
  }

  std::unique_ptr<Region> region;
  Lane lane;
  ForeignCounts foreign;
};

TEST_CASE("foreign counts: they add up with what is counted in the region") {
  Supervisor supervisor;
  const std::uint32_t cell = cell_of(*supervisor.region, counter("requests_total"), 1);
  const Lane lane = lane_of(*supervisor.region, 1);
  lane.counter(cell).add(5);
  CHECK(supervisor.add(2, counter("requests_total"), 3));
  CHECK(supervisor.add(2, counter("requests_total"), 4));
  CHECK(supervisor.value("requests_total") == 12);

  std::vector<std::int64_t> cells(kHistogramCells);
  cells[0] = 30;
  cells[1 + bucket_of(15)] = 2;
  CHECK(supervisor.foreign.add(2, histogram("seconds"), cells));
  CHECK(exported(*supervisor.region, "seconds") == 2);
}

TEST_CASE("foreign counts: counters outlive the generation, its share of a gauge does not") {
  // Where the metrics end up must make no difference.
  for (const std::uint32_t entries : {64U, 1U}) {
    CAPTURE(entries);
    Supervisor supervisor({.lanes = 2, .cells_per_lane = 512, .entries = entries});
    supervisor.add(2, counter("requests_total"), 3);
    supervisor.add(2, gauge("active"), 5);
    supervisor.add(2, gauge("active"), -1);
    supervisor.add(3, gauge("active"), 2);
    supervisor.add(3, counter("requests_total"), 1);
    CHECK(supervisor.value("active") == 6);
    CHECK(supervisor.foreign.samples().empty() == (entries == 64));
    supervisor.foreign.forget(2);
    REQUIRE(supervisor.region->forget(2).has_value());
    CHECK(supervisor.value("active") == 2);
    CHECK(supervisor.value("requests_total") == 4);
    supervisor.foreign.forget(3);
    REQUIRE(supervisor.region->forget(3).has_value());
    CHECK(supervisor.value("active") == -1);
    CHECK(supervisor.value("requests_total") == -1);
  }
}

TEST_CASE("foreign counts: held connections are told for each generation") {
  Supervisor supervisor;
  supervisor.add(2, held_connections_metric(), 5);
  supervisor.add(2, held_connections_metric(), -2);
  supervisor.add(3, held_connections_metric(), 1);
  CHECK(supervisor.foreign.connections_of(2) == 3);
  CHECK(supervisor.foreign.connections_of(3) == 1);
  CHECK(supervisor.value("baton_connections_held") == 4);
  supervisor.foreign.reclaim_dead(2);
  CHECK(supervisor.foreign.connections_of(2) == 0);
  CHECK(supervisor.value("baton_connections_held") == 1);
}

TEST_CASE("foreign counts: reports that make no sense change nothing") {
  Supervisor supervisor;
  const auto requests = counter("requests_total");
  REQUIRE(supervisor.add(2, requests, 3));
  CHECK_FALSE(supervisor.add(2, requests, -1));
  CHECK_FALSE(supervisor.add(kSlots, requests, 1));
  CHECK_FALSE(supervisor.add(2, counter(""), 1));
  CHECK_FALSE(supervisor.add(2, histogram("seconds"), 1));
  CHECK_FALSE(supervisor.foreign.add(2, requests, std::array<std::int64_t, 2>{1, 1}));
  auto unknown = requests;
  unknown.kind = static_cast<MetricKind>(9);
  CHECK_FALSE(supervisor.add(2, unknown, 1));
  CHECK(supervisor.value("requests_total") == 3);
}

}  // namespace
}  // namespace baton::region
