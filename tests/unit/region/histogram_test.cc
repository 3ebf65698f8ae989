#include "shared/region/histogram.h"

#include <cmath>
#include <random>

#include "tests/unit/region/fixture.h"

namespace baton::region {
namespace {

TEST_CASE("histogram: buckets follow each other without a gap") {
  CHECK(bucket_low(0) == 0);
  for (std::uint32_t bucket = 0; bucket + 1 < kBuckets; ++bucket) {
    REQUIRE(bucket_high(bucket) + 1 == bucket_low(bucket + 1));
    REQUIRE(bucket_of(bucket_low(bucket)) == bucket);
    REQUIRE(bucket_of(bucket_high(bucket)) == bucket);
  }
}

TEST_CASE("histogram: the middle of a value's bucket is off by at most a sixteenth") {
  std::mt19937_64 random(1);
  for (int i = 0; i < 1'000'000; ++i) {
    const std::uint64_t value = random() >> (64 - kLargestValueBits + i % kLargestValueBits);
    const std::uint32_t bucket = bucket_of(value);
    REQUIRE(bucket_low(bucket) <= value);
    REQUIRE(value <= bucket_high(bucket));
    const double error =
        std::abs(static_cast<double>(bucket_middle(bucket)) - static_cast<double>(value));
    REQUIRE(error <= static_cast<double>(value) / 16);
  }
}

TEST_CASE("histogram: what is above the largest value counts in the last bucket") {
  CHECK(bucket_of(kLargestValue) == kBuckets - 1);
  CHECK(bucket_of(kLargestValue + 1) == kBuckets - 1);
  CHECK(bucket_of(~std::uint64_t{0}) == kBuckets - 1);
  CHECK(bucket_high(kBuckets - 1) == ~std::uint64_t{0});
}

TEST_CASE("histogram: quantiles and sum of what was recorded") {
  const auto region = make_region();
  const std::uint32_t cell = cell_of(*region, histogram("seconds"), 1);
  const Lane first = lane_of(*region, 1, 0);
  const Lane second = lane_of(*region, 1, 1);
  for (std::uint64_t value = 1; value <= 1000; ++value) {
    (value % 2 == 0 ? first : second).histogram(cell).record(value);
  }
  const auto samples = snapshot(*region);
  REQUIRE(samples.has_value());
  const MetricSample& sample = (*samples)[1];
  CHECK(sample.cells[0] == 500'500);
  CHECK(histogram_count(sample) == 1000);
  for (const double quantile : {0.01, 0.5, 0.9, 0.99, 1.0}) {
    CAPTURE(quantile);
    const double exact = quantile * 1000;
    CHECK(std::abs(static_cast<double>(histogram_quantile(sample, quantile)) - exact) <=
          exact / 16);
  }
  const MetricSample empty{.description = histogram("h"),
                           .cells = std::vector<std::uint64_t>(kHistogramCells)};
  CHECK(histogram_quantile(empty, 0.5) == 0);
}

}  // namespace
}  // namespace baton::region
