#include "shared/region/generation_table.h"

#include "tests/unit/region/fixture.h"

namespace baton::region {
namespace {

TEST_CASE("generations: a slot shows what was written, to other processes too") {
  const auto region = make_region();
  GenerationTable& table = region->generations();
  const auto slot = table.claim(7, 1000);
  REQUIRE(slot == 1U);
  table.set_pid(*slot, 4711);
  table.set_state(*slot, GenerationState::Draining);
  table.set_version(*slot, "1.2.3 (abcdef)");
  table.set_drain_deadline(*slot, 2000);

  const auto other = Region::attach(duplicate(region->fd()));
  REQUIRE(other.has_value());
  (*other)->generations().count_moved_in(*slot, 3);
  (*other)->generations().count_moved_out(*slot, 2);

  const auto info = (*other)->generations().at(*slot);
  REQUIRE(info.has_value());
  CHECK(info->slot == *slot);
  CHECK(info->id == 7);
  CHECK(info->pid == 4711);
  CHECK(state_name(info->state) == "draining");
  CHECK(info->version == "1.2.3 (abcdef)");
  CHECK(info->started_ms == 1000);
  CHECK(info->drain_deadline_ms == 2000);
  CHECK(info->moved_in == 3);
  CHECK(info->moved_out == 2);
}

TEST_CASE("generations: a slot is free again after release, and clean when claimed again") {
  const auto region = make_region();
  GenerationTable& table = region->generations();
  const auto slot = table.claim(1, 0);
  REQUIRE(slot.has_value());
  table.count_moved_in(*slot, 9);
  table.set_version(*slot, "old");
  table.release(*slot);
  CHECK_FALSE(table.at(*slot).has_value());
  CHECK(table.all().empty());
  REQUIRE(table.claim(2, 0) == slot);
  CHECK(table.at(*slot)->moved_in == 0);
  CHECK(table.at(*slot)->version.empty());
  CHECK(state_name(table.at(*slot)->state) == "starting");
}

TEST_CASE("generations: as many as there are slots, the supervisor's left out") {
  const auto region = make_region();
  for (std::uint32_t i = 1; i < kSlots; ++i) CHECK(region->generations().claim(i, 0) == i);
  CHECK_FALSE(region->generations().claim(kSlots, 0).has_value());
  CHECK(region->generations().all().size() == kSlots - 1);
}

TEST_CASE("generations: a version too long is cut") {
  const auto region = make_region();
  const auto slot = region->generations().claim(1, 0);
  REQUIRE(slot.has_value());
  region->generations().set_version(*slot, std::string(100, 'v'));
  CHECK(region->generations().at(*slot)->version == std::string(63, 'v'));
}

TEST_CASE("generations: forgetting one frees its slot, lanes and metrics") {
  const auto region = make_region();
  const auto slot = region->generations().claim(1, 0);
  REQUIRE(slot.has_value());
  cell_of(*region, counter("requests_total"), *slot);
  const auto lane = region->claim_lane(*slot, 0);
  REQUIRE(lane.has_value());
  lane->held().add(3);
  REQUIRE(region->forget(*slot).has_value());
  CHECK(region->connections_of(*slot) == 0);
  CHECK(exported(*region, "requests_total") == -1);
  CHECK(region->generations().all().empty());
}

}  // namespace
}  // namespace baton::region
