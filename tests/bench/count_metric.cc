// What one count costs: a counter, and a histogram, in a lane of a region. Pin it to one CPU:
//   ninja -C build tests/bench/count_metric && taskset -c 1 build/tests/bench/count_metric
#include <chrono>
#include <cstdio>

#include "shared/region/region.h"

namespace {

using namespace baton;
constexpr std::uint64_t kRounds = 200'000'000;

template <class Count>
void measure(const char* what, Count count) {
  const auto start = std::chrono::steady_clock::now();
  for (std::uint64_t i = 0; i < kRounds; ++i) {
    count(i);
    // As on the hot path, where other code stands between two counts.
    asm volatile("" ::: "memory");
  }
  const std::chrono::duration<double, std::nano> taken = std::chrono::steady_clock::now() - start;
  std::printf("%-28s %5.2f ns\n", what, taken.count() / kRounds);
}

}  // namespace

int main() {
  const auto region = region::Region::create();
  if (!region) return std::fprintf(stderr, "%s\n", region.error().text().c_str()), 1;
  const auto lane = (*region)->claim_lane(1, 0);
  const auto requests = (*region)->directory().find_or_add({.name = "requests_total"}, 1);
  const auto seconds = (*region)->directory().find_or_add(
      {.name = "seconds", .kind = region::MetricKind::Histogram}, 1);
  if (!lane || !requests || !seconds) return 1;

  const region::Counter counter = lane->counter(requests->first_cell);
  const region::Counter others[] = {lane->counter(seconds->first_cell),
                                    lane->counter(seconds->first_cell + 64)};
  const region::Histogram histogram = lane->histogram(seconds->first_cell);
  measure("counter, the same each time", [&](std::uint64_t) { counter.add(); });
  measure("counter, three in turn", [&](std::uint64_t i) {
    const region::Counter& next = i % 3 == 0 ? counter : others[i % 3 - 1];
    next.add(i);
  });
  measure("histogram", [&](std::uint64_t i) { histogram.record(i * 7919 % 100'000); });
}
