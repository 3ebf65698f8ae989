#include "shared/region/kept_counts.h"

#include <array>
#include <vector>

#include "tests/unit/region/fixture.h"

namespace baton::region {
namespace {

struct Kept {
  bool add(std::uint32_t slot, const MetricDescription& metric, std::int64_t change) {
    return counts.add(slot, metric, {&change, 1});
  }
  std::int64_t value(const std::string& name) const {
    for (const auto& sample : counts.samples()) {
      if (full_name(sample.description) == name) return static_cast<std::int64_t>(sample.cells[0]);
    }
    return -1;
  }

  KeptMetrics metrics;
  KeptCounts counts{metrics};
};

TEST_CASE("kept counts: they add up, a histogram's cell by cell") {
  Kept kept;
  CHECK_FALSE(kept.counts.holds(counter("requests_total")));
  CHECK(kept.add(2, counter("requests_total"), 3));
  CHECK(kept.add(3, counter("requests_total"), 4));
  CHECK(kept.counts.holds(counter("requests_total")));
  CHECK(kept.value("requests_total") == 7);

  std::vector<std::int64_t> cells(kHistogramCells);
  cells[0] = 30;
  cells[1 + bucket_of(15)] = 2;
  CHECK(kept.counts.add(2, histogram("seconds"), cells));
  CHECK(kept.counts.add(2, histogram("seconds"), cells));
  CHECK(histogram_count(kept.metrics.at("seconds").sample) == 4);
}

TEST_CASE("kept counts: counters outlive the process, its share of a gauge does not") {
  Kept kept;
  kept.add(2, counter("requests_total"), 3);
  kept.add(2, gauge("active"), 5);
  kept.add(2, gauge("active"), -1);
  kept.add(3, gauge("active"), 2);
  CHECK(kept.value("active") == 6);
  kept.counts.reclaim_dead(2);
  CHECK(kept.value("active") == 2);
  CHECK(kept.value("requests_total") == 3);
  kept.counts.forget(2);
  CHECK(kept.value("active") == 2);
  CHECK(kept.value("requests_total") == -1);
  kept.counts.forget(3);
  CHECK(kept.metrics.empty());
}

TEST_CASE("kept counts: gauges that are to be reported anew fall to zero, counters stay") {
  Kept kept;
  kept.add(2, counter("requests_total"), 3);
  kept.add(2, gauge("active"), 5);
  kept.counts.forget_gauges();
  CHECK(kept.value("active") == 0);
  kept.add(2, gauge("active"), 4);
  CHECK(kept.value("active") == 4);
  CHECK(kept.value("requests_total") == 3);
}

TEST_CASE("kept counts: a name of another kind changes nothing") {
  Kept kept;
  kept.add(2, counter("requests_total"), 3);
  CHECK_FALSE(kept.add(2, gauge("requests_total"), 1));
  CHECK(kept.value("requests_total") == 3);
}

TEST_CASE("kept counts: changes that make no sense are told from those that do") {
  const auto well_formed = [](const MetricDescription& metric, std::int64_t change) {
    return is_well_formed(metric, {&change, 1});
  };
  const auto requests = counter("requests_total");
  CHECK(well_formed(requests, 3));
  CHECK(well_formed(gauge("active"), -3));
  CHECK_FALSE(well_formed(requests, -1));
  CHECK_FALSE(well_formed(counter(""), 1));
  CHECK_FALSE(well_formed(histogram("seconds"), 1));
  CHECK_FALSE(is_well_formed(requests, std::array<std::int64_t, 2>{1, 1}));
  auto unknown = requests;
  unknown.kind = static_cast<MetricKind>(9);
  CHECK_FALSE(well_formed(unknown, 1));
  unknown = requests;
  unknown.unit = static_cast<MetricUnit>(9);
  CHECK_FALSE(well_formed(unknown, 1));
}

}  // namespace
}  // namespace baton::region
