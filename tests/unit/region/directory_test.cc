#include "shared/region/directory.h"

#include "tests/unit/region/fixture.h"

namespace baton::region {
namespace {

TEST_CASE("directory: the same name and labels have the same cells for every process") {
  const auto region = make_region();
  const auto db = counter("connections_total", label("listener", "db"));
  const auto web = counter("connections_total", label("listener", "web"));
  const std::uint32_t cell = cell_of(*region, db, 1);
  CHECK(cell_of(*region, web, 1) != cell);
  CHECK(cell_of(*region, db, 2) == cell);

  const auto other = Region::attach(duplicate(region->fd()));
  REQUIRE(other.has_value());
  CHECK(cell_of(**other, db, 3) == cell);
}

TEST_CASE("directory: what several lanes count is summed") {
  const auto region = make_region();
  const std::uint32_t cell = cell_of(*region, counter("requests_total"), 1);
  const Lane first = lane_of(*region, 1, 0);
  const Lane second = lane_of(*region, 1, 1);
  first.counter(cell).add(3);
  second.counter(cell).add(4);
  CHECK(exported(*region, "requests_total") == 7);
}

TEST_CASE("directory: a metric with users stays, one without is not exported") {
  const auto region = make_region();
  cell_of(*region, counter("kept_total"), 1);
  cell_of(*region, counter("kept_total"), 2);
  cell_of(*region, counter("removed_total"), 1);
  REQUIRE(region->directory().release_user(1).has_value());
  CHECK(exported(*region, "kept_total") == 0);
  CHECK(exported(*region, "removed_total") == -1);
}

TEST_CASE("directory: a metric asked for again before its cells were reused goes on") {
  const auto region = make_region();
  const std::uint32_t cell = cell_of(*region, counter("requests_total"), 1);
  {
    lane_of(*region, 1).counter(cell).add(5);
  }
  REQUIRE(region->directory().release_user(1).has_value());
  CHECK(cell_of(*region, counter("requests_total"), 2) == cell);
  CHECK(exported(*region, "requests_total") == 5);
}

TEST_CASE("directory: reused cells begin at zero in every lane") {
  const auto region = make_region();
  const std::uint32_t cell = cell_of(*region, counter("old_total"), 1);
  const Lane lane = lane_of(*region, 1);
  lane.counter(cell).add(5);
  REQUIRE(region->directory().release_user(1).has_value());
  CHECK(cell_of(*region, counter("new_total"), 2) == cell);
  CHECK(exported(*region, "new_total") == 0);
  CHECK(exported(*region, "old_total") == -1);
}

TEST_CASE("directory: configuration changes never fill the region up") {
  const auto region = make_region();
  for (int round = 0; round < 500; ++round) {
    const std::string listener = label("listener", "l" + std::to_string(round));
    const std::uint32_t slot = 1 + round % 2;
    REQUIRE(region->directory().release_user(slot).has_value());
    for (const char* name : {"a_total", "b_total", "c_total"}) {
      cell_of(*region, counter(name, listener), slot);
    }
    auto seconds = histogram("seconds");
    seconds.labels = listener;
    cell_of(*region, seconds, slot);
  }
}

TEST_CASE("directory: many small gaps together hold a large metric") {
  const auto region = make_region({.lanes = 2, .cells_per_lane = 512, .entries = 600});
  const auto name = [](int i) { return "c" + std::to_string(i); };
  {
    const Lane lane = lane_of(*region, 1);
    for (int i = 0; i < 511; ++i) {
      lane.counter(cell_of(*region, counter(name(i)), i < 100 ? 1 : 2)).add(7);
    }
  }
  CHECK_FALSE(region->directory().find_or_add(histogram("seconds"), 1).has_value());
  REQUIRE(region->directory().release_user(2).has_value());
  const std::uint32_t first = cell_of(*region, histogram("seconds"), 1);
  CHECK(first > 100);
  CHECK(first + kHistogramCells <= 512);
  CHECK(exported(*region, "seconds") == 0);
  CHECK(exported(*region, "c99") == 7);

  // The names that were in its place are new ones now, elsewhere.
  for (int i = 100; i < 511 - static_cast<int>(kHistogramCells); ++i) {
    const std::uint32_t cell = cell_of(*region, counter(name(i)), 1);
    CHECK((cell < first || cell >= first + kHistogramCells));
  }
}

TEST_CASE("directory: a name taken with another kind or unit is refused") {
  const auto region = make_region();
  cell_of(*region, counter("sent_bytes_total"), 1);
  CHECK_FALSE(region->directory().find_or_add(gauge("sent_bytes_total"), 1).has_value());
  auto bytes = counter("sent_bytes_total");
  bytes.unit = MetricUnit::Bytes;
  CHECK_FALSE(region->directory().find_or_add(bytes, 1).has_value());

  // Once nobody uses it as what it was, it may become something else.
  REQUIRE(region->directory().release_user(1).has_value());
  CHECK(region->directory().find_or_add(gauge("sent_bytes_total"), 2).has_value());
}

TEST_CASE("directory: texts that do not fit are refused, the longest that fit are kept") {
  const auto region = make_region();
  const auto accepted = [&](const MetricDescription& metric) {
    return region->directory().find_or_add(metric, 1).has_value();
  };
  const std::string longest_name(sizeof(DirectoryText::name) - 1, 'n');
  CHECK(accepted(counter(longest_name)));
  CHECK(exported(*region, longest_name) == 0);
  CHECK_FALSE(accepted(counter(longest_name + 'n')));
  CHECK_FALSE(accepted(counter("")));
  CHECK_FALSE(accepted(counter(std::string("a\0b", 3))));
  CHECK_FALSE(accepted(counter("x", std::string(sizeof(DirectoryText::labels), 'l'))));
  CHECK_FALSE(accepted({.name = "y", .help = std::string(sizeof(DirectoryText::help), 'h')}));
}

TEST_CASE("directory: full of entries or of cells is an error that changes nothing") {
  const Geometry one_page{.lanes = 2, .cells_per_lane = 512, .entries = 8};
  const auto region = make_region(one_page);
  cell_of(*region, histogram("first_seconds"), 1);
  CHECK_FALSE(region->directory().find_or_add(histogram("second_seconds"), 1).has_value());
  for (int i = 0; i < 6; ++i) cell_of(*region, counter("c" + std::to_string(i)), 1);
  CHECK_FALSE(region->directory().find_or_add(counter("c6"), 1).has_value());
  CHECK(exported(*region, "first_seconds") == 0);
  CHECK(exported(*region, "c5") == 0);
}

}  // namespace
}  // namespace baton::region
