#include "supervisor/service_status.h"

#include <doctest/doctest.h>

namespace baton::supervisor {
namespace {

constexpr double kNow = 1000;

struct Fixture {
  SupervisorState state;
  std::unique_ptr<SupervisorRegion> region = SupervisorRegion::create(state).value();

  GenerationRecord& add(std::uint64_t id, Role role, Phase phase) {
    GenerationRecord& generation = state.generations[id];
    generation.id = id;
    generation.role = role;
    generation.phase = phase;
    REQUIRE(region->claim_slot(generation));
    return generation;
  }
  std::string text() const { return service_status(state, *region, kNow); }
};

TEST_CASE_FIXTURE(Fixture, "service status: nobody is in charge") {
  CHECK(text() == "no generation is in charge");
}

TEST_CASE_FIXTURE(Fixture, "service status: who is in charge, and with how much") {
  add(7, Role::InCharge, Phase::Serving);
  CHECK(text() == "generation 7 in charge, 0 connections");
}

TEST_CASE_FIXTURE(Fixture, "service status: a reload shows how far it is") {
  add(7, Role::InCharge, Phase::Serving);
  add(8, Role::Candidate, Phase::Warming);
  CHECK(text() == "generation 7 in charge, 0 connections; generation 8 while warming");
}

TEST_CASE_FIXTURE(Fixture, "service status: drains are summed up, until the last of them is cut") {
  add(7, Role::Draining, Phase::Draining).drain_deadline = kNow + 10;
  add(8, Role::Draining, Phase::Draining).drain_deadline = kNow + 25;
  add(9, Role::InCharge, Phase::Serving);
  CHECK(text() == "generation 9 in charge, 0 connections; 2 draining, 0 connections, cut in 25s");
}

TEST_CASE_FIXTURE(Fixture, "service status: a stop is its drain") {
  add(7, Role::Draining, Phase::Draining).drain_deadline = kNow - 1;
  state.life.stage = lifecycle::Stage::Stopping;
  CHECK(text() == "stopping; 1 draining, 0 connections, cut in 0s");
}

}  // namespace
}  // namespace baton::supervisor
