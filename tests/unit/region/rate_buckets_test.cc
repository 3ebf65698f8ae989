#include "shared/region/rate_buckets.h"

#include <atomic>
#include <thread>
#include <vector>

#include "tests/unit/region/fixture.h"

namespace baton::region {
namespace {

constexpr std::uint64_t kMs = 1'000'000;
constexpr std::uint64_t kStart = 5'000'000'000;
constexpr RateLimit kTenMs{.interval_ns = 10 * kMs, .burst = 3};

int acquired(RateBuckets& buckets, std::uint64_t key, std::uint64_t now, int attempts,
             const RateLimit& limit = kTenMs) {
  int count = 0;
  for (int i = 0; i < attempts; ++i) count += buckets.try_acquire(key, now, limit).allowed ? 1 : 0;
  return count;
}

TEST_CASE("rate: a burst, then one an interval, and after a rest a burst again") {
  const auto region = make_region();
  RateBuckets& buckets = region->rate_buckets();
  CHECK(acquired(buckets, 7, kStart, 10) == 3);
  CHECK(acquired(buckets, 7, kStart + 9 * kMs, 10) == 0);
  CHECK(acquired(buckets, 7, kStart + 10 * kMs, 10) == 1);
  CHECK(acquired(buckets, 7, kStart + 30 * kMs, 10) == 2);
  CHECK(acquired(buckets, 7, kStart + 1000 * kMs, 10) == 3);
}

TEST_CASE("rate: who is refused learns when to come back") {
  const auto region = make_region();
  RateBuckets& buckets = region->rate_buckets();
  CHECK(acquired(buckets, 7, kStart, 3) == 3);
  const auto verdict = buckets.try_acquire(7, kStart + 4 * kMs, kTenMs);
  CHECK_FALSE(verdict.allowed);
  CHECK(verdict.retry_after_ns == 6 * kMs);
  CHECK(buckets.try_acquire(7, kStart + 10 * kMs, kTenMs).allowed);
}

TEST_CASE("rate: each key has a bucket of its own") {
  const auto region = make_region();
  for (std::uint64_t key = 0; key < 200; ++key) {
    CHECK(acquired(region->rate_buckets(), key << 40, kStart, 5) == 3);
  }
}

TEST_CASE("rate: two generations enforce one limit") {
  const auto region = make_region();
  const auto mapped = Region::attach(duplicate(region->fd()));
  CHECK(acquired(region->rate_buckets(), 7, kStart, 2) == 2);
  CHECK(acquired((*mapped)->rate_buckets(), 7, kStart, 5) == 1);
}

TEST_CASE("rate: threads that hurry take no more than there is") {
  const auto region = make_region();
  const RateLimit limit{.interval_ns = 1'000'000'000'000, .burst = 1000};
  std::atomic<int> taken = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back(
        [&] { taken += acquired(region->rate_buckets(), 7, kStart, 1000, limit); });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(taken == 1000);
}

TEST_CASE("rate: buckets that are full again make room, debts give way only when none is") {
  Geometry geometry = kSmall;
  geometry.buckets = 8;  // two groups: all that a key may be in
  const auto region = make_region(geometry);
  RateBuckets& buckets = region->rate_buckets();
  for (std::uint64_t key = 1; key <= 50; ++key) CHECK(acquired(buckets, key, kStart, 5) == 3);
  const std::uint64_t later = kStart + 100 * kMs;
  CHECK(acquired(buckets, 1000, later, 5) == 3);
  CHECK(acquired(buckets, 1000, later, 5) == 0);
}

TEST_CASE("rate: no debt is longer than a full bucket's, whatever the memory says") {
  const auto region = make_region();
  RateBuckets& buckets = region->rate_buckets();
  CHECK(acquired(buckets, 7, kStart, 1000, {.interval_ns = 10 * kMs, .burst = 1000}) == 1000);
  CHECK(acquired(buckets, 7, kStart, 1) == 0);
  CHECK(buckets.try_acquire(7, kStart, kTenMs).retry_after_ns == 10 * kMs);
  // ... and is not found again: the limit that holds by now lets one through when it says so.
  CHECK(acquired(buckets, 7, kStart + 10 * kMs, 5) == 1);
}

}  // namespace
}  // namespace baton::region
