#include "shared/region/endpoint_table.h"

#include <cstring>
#include <string>
#include <vector>

#include "shared/region/private_runtime.h"
#include "tests/unit/region/child.h"
#include "tests/unit/region/fixture.h"

namespace baton::region {
namespace {

constexpr std::uint32_t kOld = 1;
constexpr std::uint32_t kNew = 2;

EndpointSlot& entry_of(Region& region, const std::string& address, std::uint32_t slot) {
  const auto entry = region.endpoints().find_or_add("db", address, slot);
  REQUIRE_MESSAGE(entry.has_value(), entry.error().text());
  return **entry;
}

void set(EndpointSlot& entry, EndpointHealth health) {
  entry.health.store(static_cast<std::uint32_t>(health));
}

bool knows_nothing(const EndpointSlot& entry) {
  return entry.health == 0 && entry.ejected_until_ns == 0 && entry.ejections == 0 &&
         entry.streak == 0 && entry.check == 0;
}

TEST_CASE("endpoints: what one generation knows, the next one knows, through its own mapping") {
  const auto region = make_region();
  set(entry_of(*region, "10.0.0.1:80", kOld), EndpointHealth::Unhealthy);
  const auto mapped = Region::attach(duplicate(region->fd()));
  REQUIRE(mapped.has_value());
  CHECK(entry_of(**mapped, "10.0.0.1:80", kNew).health == 2);
  CHECK(entry_of(**mapped, "10.0.0.2:80", kNew).health == 0);
}

TEST_CASE("endpoints: the same address in two clusters is two endpoints") {
  const auto region = make_region();
  const auto web = region->endpoints().find_or_add("web", "10.0.0.1:80", kOld);
  const auto api = region->endpoints().find_or_add("api", "10.0.0.1:80", kOld);
  CHECK(*web != *api);
}

TEST_CASE("endpoints: one stays known as long as one of its users lives, then it is forgotten") {
  const auto region = make_region();
  EndpointSlot& entry = entry_of(*region, "10.0.0.1:80", kOld);
  entry.ejections.store(3);
  CHECK(&entry_of(*region, "10.0.0.1:80", kNew) == &entry);
  REQUIRE(region->forget(kOld).has_value());
  CHECK(entry_of(*region, "10.0.0.1:80", kNew).ejections == 3);
  REQUIRE(region->forget(kNew).has_value());
  CHECK(knows_nothing(entry_of(*region, "10.0.0.1:80", kNew)));
}

TEST_CASE("endpoints: a successor learns what the one in charge has found, and how") {
  const auto region = make_region();
  EndpointTable& table = region->endpoints();
  EndpointSlot& first = entry_of(*region, "10.0.0.1:80", kOld);
  for (const char* address : {"10.0.0.2:80", "10.0.0.3:80"}) entry_of(*region, address, kOld);
  entry_of(*region, "10.0.0.4:80", kNew);
  REQUIRE(table.find_or_add("other", "10.0.0.1:80", kOld).has_value());
  CHECK(table.found_of("db", kNew)->empty());
  const FoundByAddress found = {{"10.0.0.1:80", {.weight = 9, .priority = 0}},
                                {"10.0.0.2:80", {.weight = 65535, .priority = 65535}},
                                {"10.0.0.4:80", {}}};
  REQUIRE(table.set_found("db", found).has_value());
  CHECK(*table.found_of("db", kNew) ==
        FoundByAddress{{"10.0.0.1:80", {.weight = 9}},
                       {"10.0.0.2:80", {.weight = 65535, .priority = 65535}}});
  CHECK(table.found_of("other", kNew)->empty());
  table.release(first, kOld);
  CHECK(table.found_of("db", kNew)->size() == 1);
  // What has left the cluster is not found any more, even while somebody uses it.
  REQUIRE(table.set_found("db", {{"10.0.0.3:80", {}}}).has_value());
  CHECK(*table.found_of("db", kNew) == FoundByAddress{{"10.0.0.3:80", {}}});
}

TEST_CASE("endpoints: a place that nobody uses is taken for another, a full table is refused") {
  Geometry geometry = kSmall;
  geometry.endpoints = 2;
  const auto region = make_region(geometry);
  EndpointSlot& first = entry_of(*region, "unix:/a", kOld);
  set(first, EndpointHealth::Unhealthy);
  first.streak.store(5);
  first.check.store(5);
  entry_of(*region, "unix:/b", kOld);
  const auto none = region->endpoints().find_or_add("db", "unix:/c", kOld);
  REQUIRE_FALSE(none.has_value());
  CHECK(none.error().text() == "the region has no room for another endpoint: unix:/c");
  region->endpoints().release(first, kOld);
  EndpointSlot& third = entry_of(*region, "unix:/c", kOld);
  CHECK(&third == &first);
  CHECK(knows_nothing(third));
}

TEST_CASE("endpoints: the longest name and address fit, longer ones are refused") {
  const auto region = make_region();
  auto& endpoints = region->endpoints();
  CHECK(endpoints.find_or_add(std::string(64, 'c'), "unix:" + std::string(107, 'p'), kOld));
  CHECK_FALSE(endpoints.find_or_add(std::string(72, 'c'), "unix:/a", kOld));
  CHECK_FALSE(endpoints.find_or_add("c", std::string(120, 'p'), kOld));
}

TEST_CASE("endpoints: announcing a change shows in every mapping") {
  const auto region = make_region();
  const auto mapped = Region::attach(duplicate(region->fd()));
  const std::uint64_t before = (*mapped)->endpoints().epoch();
  region->endpoints().announce();
  CHECK((*mapped)->endpoints().epoch() == before + 1);
}

TEST_CASE("endpoints: a process killed in the middle of adding leaves no trace and no lock") {
  const auto region = make_region();
  entry_of(*region, "10.0.0.1:80", kOld);
  Child child([&](auto reached) {
    const auto own = Region::attach(duplicate(region->fd()));
    reached();
    for (std::uint32_t i = 0;; ++i) {
      const std::string address = "10.0.0.2:" + std::to_string(i % 50);
      if (auto entry = (*own)->endpoints().find_or_add("db", address, kNew)) {
        if (i % 3 != 0) (*own)->endpoints().release(**entry, kNew);
      }
    }
  });
  child.wait_until_reached();
  for (int i = 0; i < 500; ++i) entry_of(*region, "10.0.0.3:" + std::to_string(i % 7), kOld);
  child.kill();
  REQUIRE(region->forget(kNew).has_value());
  CHECK(knows_nothing(entry_of(*region, "10.0.0.2:7", kOld)));
}

TEST_CASE("endpoints: without a region the process has a table of its own") {
  const auto runtime = PrivateRuntime::create(kSmall);
  REQUIRE(runtime.has_value());
  const auto entry = (*runtime)->endpoints().find_or_add("db", "10.0.0.1:80", 0);
  REQUIRE(entry.has_value());
  CHECK(*(*runtime)->endpoints().find_or_add("db", "10.0.0.1:80", 0) == *entry);
  CHECK((*runtime)->rate_buckets().try_acquire(1, 1, {}).allowed);
}

}  // namespace
}  // namespace baton::region
