#include "supervisor/supervisor_region.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include "shared/region/sample.h"

namespace baton::supervisor {
namespace {

proto::StatsDelta delta(const std::string& name, region::MetricKind kind, std::int64_t value) {
  proto::StatsDelta delta;
  proto::StatsDelta::Metric& metric = *delta.add_metrics();
  metric.set_name(name);
  metric.set_kind(static_cast<std::uint32_t>(kind));
  metric.add_cells(value);
  return delta;
}

// A region with one generation that has another layout and so reports by RPC.
struct ForeignFixture {
  SupervisorState state;
  std::unique_ptr<SupervisorRegion> region = SupervisorRegion::create(state).value();
  GenerationRecord& generation = state.generations[1];

  ForeignFixture() {
    generation.id = 1;
    REQUIRE(region->claim_slot(generation));
    region->publish(generation);
  }
  bool shows(const std::string& line) {
    const std::string text = "\n" + region->text(proto::STATS_PROMETHEUS, "").value();
    return text.find("\n" + line + "\n") != std::string::npos;
  }
};

TEST_CASE_FIXTURE(ForeignFixture, "region: counts that arrive by RPC add up") {
  CHECK(region->add(generation, delta("seen_total", region::MetricKind::Counter, 3)));
  CHECK(region->add(generation, delta("seen_total", region::MetricKind::Counter, 4)));
  CHECK(shows("seen_total 7"));
}

TEST_CASE_FIXTURE(ForeignFixture,
                  "region: gauges that arrived by RPC fall to zero with their generation") {
  CHECK(region->add(generation, delta("now", region::MetricKind::Gauge, 5)));
  CHECK(region->add(generation, delta("now", region::MetricKind::Gauge, -2)));
  CHECK(shows("now 3"));
  region->reclaim(generation);
  CHECK(shows("now 0"));
}

TEST_CASE_FIXTURE(ForeignFixture, "region: held connections are known without a shared region") {
  const std::string held = region::held_connections_metric().name;
  CHECK(region->add(generation, delta(held, region::MetricKind::Gauge, 9)));
  CHECK(region->connections(generation) == 9);
}

TEST_CASE_FIXTURE(ForeignFixture, "region: what threads without a lane hold counts as well") {
  generation.shares_region = true;
  const auto mapped = region::Region::attach(os::UniqueFd(::dup(region->fd()))).value();
  const region::Lane lane = mapped->claim_lane(generation.region_slot, 0).value();
  lane.held().add(3);
  const std::string held = region::held_connections_metric().name;
  CHECK(region->add(generation, delta(held, region::MetricKind::Gauge, 9)));
  CHECK(region->connections(generation) == 12);
}

TEST_CASE("region: there is a lane for each of 64 workers of ten generations") {
  SupervisorState state;
  const auto region = SupervisorRegion::create(state).value();
  const auto mapped = region::Region::attach(os::UniqueFd(::dup(region->fd()))).value();
  std::vector<region::Lane> lanes;
  for (std::uint32_t i = 0; i < 640; ++i) {
    auto lane = mapped->claim_lane(1 + i / 64, i % 64);
    REQUIRE(lane);
    lanes.push_back(std::move(*lane));
  }
}

TEST_CASE_FIXTURE(ForeignFixture,
                  "region: moves that are reported add up in the generation's row") {
  proto::StatsDelta moves;
  moves.set_moved_in(2);
  moves.set_moved_out(3);
  CHECK(region->add(generation, moves));
  CHECK(region->add(generation, moves));
  CHECK(region->moved_in(generation) == 4);
  CHECK(region->moved_out(generation) == 6);
}

TEST_CASE_FIXTURE(ForeignFixture, "region: malformed counts are refused, the rest is taken") {
  proto::StatsDelta mixed = delta("good_total", region::MetricKind::Counter, 1);
  *mixed.add_metrics() = delta("", region::MetricKind::Histogram, 1).metrics(0);
  mixed.add_metrics()->set_kind(99);
  CHECK_FALSE(region->add(generation, mixed));
  CHECK(shows("good_total 1"));
}

TEST_CASE_FIXTURE(ForeignFixture, "region: what nobody uses any more is no longer shown") {
  CHECK(region->add(generation, delta("seen_total", region::MetricKind::Counter, 3)));
  region->reclaim(generation);
  CHECK(shows("seen_total 3"));
  region->forget(generation.region_slot);
  CHECK_FALSE(shows("seen_total 3"));
}

TEST_CASE_FIXTURE(ForeignFixture,
                  "region: reloads, crashes and generations are counted and shown") {
  region->count_reload(SupervisorRegion::ReloadResult::RolledBack);
  region->count_crash();
  CHECK(shows("baton_reloads_total{result=\"rolled_back\"} 1"));
  CHECK(shows("baton_reloads_total{result=\"ok\"} 0"));
  CHECK(shows("baton_generation_crashes_total 1"));
  CHECK(shows("baton_generation{id=\"1\",state=\"starting\",version=\"\"} 1"));
}

// Takes all places of the directory, in the name of a slot of its own.
void fill(SupervisorRegion& region, SupervisorState& state) {
  GenerationRecord& other = state.generations[2];
  other.id = 2;
  REQUIRE(region.claim_slot(other));
  proto::StatsDelta many;
  for (std::uint32_t i = 0; i < region::Geometry().entries; ++i) {
    const std::string name = "filler" + std::to_string(i) + "_total";
    *many.add_metrics() = delta(name, region::MetricKind::Counter, 1).metrics(0);
  }
  REQUIRE(region.add(other, many));
}

TEST_CASE_FIXTURE(ForeignFixture, "region: what it has no room for is counted all the same") {
  fill(*region, state);
  CHECK(region->add(generation, delta("seen_total", region::MetricKind::Counter, 3)));
  CHECK(region->add(generation, delta("seen_total", region::MetricKind::Counter, 4)));
  CHECK(region->add(generation, delta("now", region::MetricKind::Gauge, 5)));
  CHECK(shows("seen_total 7"));
  CHECK(shows("now 5"));
  CHECK(state.kept_metrics.contains("seen_total"));

  // The next supervisor goes on with it, and so does the region, when it has room again.
  os::UniqueFd kept(::dup(region->fd()));
  region.reset();
  region = SupervisorRegion::attach(state, std::move(kept)).value();
  region->forget(state.generations.at(2).region_slot);
  CHECK(region->add(generation, delta("seen_total", region::MetricKind::Counter, 1)));
  CHECK(region->add(generation, delta("now", region::MetricKind::Gauge, 1)));
  CHECK(shows("seen_total 8"));
  CHECK(shows("now 6"));

  region->reclaim(generation);
  CHECK(shows("seen_total 8"));
  CHECK(shows("now 0"));
  region->forget(generation.region_slot);
  CHECK_FALSE(shows("seen_total 8"));
  CHECK_FALSE(shows("now 0"));
}

TEST_CASE_FIXTURE(ForeignFixture,
                  "region: the next supervisor goes on counting where this one was") {
  CHECK(region->add(generation, delta("seen_total", region::MetricKind::Counter, 3)));
  CHECK(region->add(generation, delta("now", region::MetricKind::Gauge, 5)));
  region->count_crash();
  for (const bool knows_gauges : {true, false}) {
    CAPTURE(knows_gauges);
    os::UniqueFd kept(::dup(region->fd()));
    if (!knows_gauges) generation.reported_gauges.clear();
    region.reset();
    region = SupervisorRegion::attach(state, std::move(kept)).value();
    region->count_crash();
    CHECK(shows("seen_total 3"));
    CHECK(shows(knows_gauges ? "now 5" : "now 0"));
  }
  CHECK(shows("baton_generation_crashes_total 3"));
}

TEST_CASE_FIXTURE(ForeignFixture, "region: a gauge in the state that is none is not counted") {
  generation.reported_gauges[0xffffffff] = 7;
  CHECK(SupervisorRegion::attach(state, os::UniqueFd(::dup(region->fd()))));
}

TEST_CASE_FIXTURE(ForeignFixture, "region: where it is lost, generations get slots in a new one") {
  generation.shares_region = true;
  generation.region_slot = 17;
  state.orphaned_slots = {5};
  region = SupervisorRegion::replace(state).value();
  CHECK_FALSE(generation.shares_region);
  CHECK(state.orphaned_slots.empty());
  region->publish(generation);
  CHECK(region->moved_in(generation) == 0);
  region->forget(generation.region_slot);
}

TEST_CASE("region: what is none is refused") {
  SupervisorState state;
  CHECK_FALSE(SupervisorRegion::attach(state, os::UniqueFd(::dup(0))));
}

}  // namespace
}  // namespace baton::supervisor
