#include "proxy/stats/stats_store.h"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <chrono>
#include <future>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "shared/region/region.h"
#include "shared/region/snapshot.h"

namespace baton::proxy {
namespace {

using region::MetricDescription;
using region::MetricId;
using region::MetricKind;
using region::Region;

constexpr std::uint32_t kSlot = 3;
constexpr region::Geometry kTiny{.lanes = 4, .cells_per_lane = 512, .entries = 4};

const MetricDescription kRequests{.name = "requests_total", .help = "Requests."};
const MetricDescription kActive{.name = "active", .help = "Active.", .kind = MetricKind::Gauge};

std::unique_ptr<Region> make_region(const region::Geometry& geometry = kTiny) {
  auto region = Region::create({.geometry = geometry});
  REQUIRE(region.has_value());
  return std::move(*region);
}

std::unique_ptr<StatsStore> open_in(const Region& region,
                                    std::uint64_t layout = region::kLayoutVersion) {
  auto store =
      StatsStore::open(os::UniqueFd(::fcntl(region.fd(), F_DUPFD_CLOEXEC, 0)), kSlot, layout);
  REQUIRE(store.has_value());
  return std::move(*store);
}

std::unique_ptr<StatsStore> open_private() {
  auto store = StatsStore::open(os::UniqueFd(), 0);
  REQUIRE(store.has_value());
  return std::move(*store);
}

std::uint64_t private_value(const StatsStore& store, const std::string& name) {
  for (const auto& metric : store.private_metrics()) {
    if (metric.description.name == name) return metric.cells[0];
  }
  FAIL("no private metric " << name);
  return 0;
}

TEST_CASE("stats: counts in the region are there for the supervisor, none are private") {
  const auto region = make_region();
  const auto store = open_in(*region);
  const MetricId id = store->resolve(kRequests);
  CHECK_FALSE(id.in_process);
  const auto lane = store->claim_lane();
  lane->counter(id).add(4);
  lane->held().add(2);
  CHECK(store->sum(id) == 4);
  CHECK(region->lanes().sum(id.first_cell) == 4);
  CHECK(region->connections_of(kSlot) == 2);
  CHECK(store->private_metrics().empty());
}

TEST_CASE("stats: moves are counted in the generation's row, or where they can be reported from") {
  const auto count = [](StatsStore& store) {
    store.count_moved_in(2);
    store.count_moved_out(3);
  };
  const auto region = make_region();
  const auto slot = region->generations().claim(1, 0);
  REQUIRE(slot.has_value());
  auto shared = StatsStore::open(os::UniqueFd(::fcntl(region->fd(), F_DUPFD_CLOEXEC, 0)), *slot);
  REQUIRE(shared.has_value());
  count(**shared);
  CHECK(region->generations().at(*slot)->moved_in == 2);
  CHECK(region->generations().at(*slot)->moved_out == 3);
  CHECK((*shared)->private_moves().in == 0);
  const auto alone = open_private();
  count(*alone);
  CHECK(alone->private_moves().in == 2);
  CHECK(alone->private_moves().out == 3);
}

TEST_CASE("stats: a lane given back leaves its counters and takes its gauges with it") {
  const auto region = make_region();
  for (const bool shared : {true, false}) {
    CAPTURE(shared);
    const auto store = shared ? open_in(*region) : open_private();
    const MetricId requests = store->resolve(kRequests);
    const MetricId active = store->resolve(kActive);
    auto lane = store->claim_lane();
    lane->counter(requests).add(4);
    lane->gauge(active).add(1);
    CHECK(store->sum(active) == 1);
    lane.reset();
    CHECK(store->sum(requests) == 4);
    CHECK(store->sum(active) == 0);
  }
}

TEST_CASE("stats: without a region everything is private and exact") {
  const auto store = open_private();
  const MetricId id = store->resolve(kRequests);
  CHECK(id.in_process);
  CHECK(store->resolve(kRequests).first_cell == id.first_cell);
  const auto first = store->claim_lane();
  const auto second = store->claim_lane();
  first->counter(id).add(1);
  second->counter(id).add(2);
  CHECK(store->sum(id) == 3);
  CHECK(private_value(*store, "requests_total") == 3);
  CHECK(store->prometheus_text().find("requests_total 3\n") != std::string::npos);
}

TEST_CASE("stats: private memory holds any number of histograms") {
  const auto store = open_private();
  const auto lane = store->claim_lane();
  for (int i = 0; i < 50; ++i) {
    const MetricDescription metric{.name = "h" + std::to_string(i), .kind = MetricKind::Histogram};
    lane->histogram(store->resolve(metric)).record(1000 + i);
  }
  const auto metrics = store->private_metrics();
  REQUIRE(metrics.size() == 50);
  for (int i = 0; i < 50; ++i) {
    CHECK(metrics[i].cells[0] == 1000U + i);
    CHECK(region::histogram_count(metrics[i]) == 1);
  }
}

TEST_CASE("stats: a full region counts in private memory, and a metric says so") {
  const auto region = make_region();
  const auto slot = region->generations().claim(1, 0);
  REQUIRE(slot == 1U);
  auto store = StatsStore::open(os::UniqueFd(::fcntl(region->fd(), F_DUPFD_CLOEXEC, 0)), *slot);
  REQUIRE(store.has_value());
  std::vector<MetricId> ids;
  for (int i = 0; i < 5; ++i) ids.push_back((*store)->resolve({.name = "m" + std::to_string(i)}));
  CHECK_FALSE(ids[2].in_process);
  REQUIRE(ids[3].in_process);  // four entries: one is for held connections
  REQUIRE(ids[4].in_process);
  CHECK((*store)->resolve({.name = "m4"}).in_process);

  const auto lane = (*store)->claim_lane();
  for (const MetricId id : ids) lane->counter(id).add(7);
  CHECK((*store)->sum(ids[2]) == 7);
  CHECK((*store)->sum(ids[4]) == 7);
  CHECK(private_value(**store, "m4") == 7);
  const std::string text = (*store)->prometheus_text();
  CHECK(text.find("baton_region_metrics_overflowed 2\n") != std::string::npos);
  CHECK(text.find("m0 7\n") != std::string::npos);
  CHECK(text.find("m4 7\n") != std::string::npos);
}

TEST_CASE("stats: a thread for whom no lane is left counts in private memory, sums are exact") {
  const auto region = make_region();
  const auto store = open_in(*region);
  const MetricId id = store->resolve(kRequests);
  std::vector<std::unique_ptr<StatsLane>> lanes;
  for (int i = 0; i < 6; ++i) {
    lanes.push_back(store->claim_lane());
    lanes.back()->counter(id).add(1);
    lanes.back()->held().add(1);
  }
  CHECK(store->sum(id) == 6);
  CHECK(region->lanes().sum(id.first_cell) == 3);  // four lanes: one is the supervisor's
  CHECK(private_value(*store, "requests_total") == 3);
  CHECK(private_value(*store, "baton_connections_held") == 3);
  CHECK(store->prometheus_text().find("requests_total 6\n") != std::string::npos);
}

TEST_CASE("stats: what the supervisor has counted of a stand-in is not counted twice") {
  const auto region = make_region({.lanes = 2, .cells_per_lane = 512, .entries = 8});
  const auto store = open_in(*region);
  const MetricId requests = store->resolve(kRequests);
  const MetricId active = store->resolve(kActive);
  const auto in_region = store->claim_lane();
  const auto beside = store->claim_lane();
  in_region->counter(requests).add(1);
  beside->counter(requests).add(2);
  beside->gauge(active).add(3);

  // As the supervisor does with a report.
  const region::Lane supervisor = region->claim_lane(region::kSupervisorSlot, 0).value();
  supervisor.counter(requests.first_cell).add(2);
  supervisor.gauge(active.first_cell).add(3);
  store->note_reported(kRequests, std::vector<std::uint64_t>{2});
  store->note_reported(kActive, std::vector<std::uint64_t>{3});
  beside->counter(requests).add(4);
  CHECK(store->sum(requests) == 7);
  CHECK(store->sum(active) == 3);
  CHECK(store->prometheus_text().find("requests_total 7\n") != std::string::npos);
  CHECK(private_value(*store, "requests_total") == 6);

  // The next supervisor begins with no gauges.
  supervisor.gauge(active.first_cell).sub(3);
  store->forget_reported_gauges();
  CHECK(store->sum(active) == 3);
  CHECK(store->sum(requests) == 7);
}

TEST_CASE("stats: what the region has no room for is shown in full, reported or not") {
  const auto region = make_region({.lanes = 4, .cells_per_lane = 512, .entries = 1});
  const auto store = open_in(*region);
  const MetricId id = store->resolve(kRequests);
  REQUIRE(id.in_process);
  const auto lane = store->claim_lane();
  lane->counter(id).add(5);
  store->note_reported(kRequests, std::vector<std::uint64_t>{5});
  CHECK(store->prometheus_text().find("requests_total 5\n") != std::string::npos);
}

TEST_CASE("stats: a stopped holder of the directory's lock is waited for once, not for each") {
  const auto region = make_region();
  const auto store = open_in(*region);
  REQUIRE_FALSE(store->resolve(kRequests).in_process);
  std::promise<void> held;
  std::promise<void> enough;
  std::thread holder([&] {
    bool first = true;
    static_cast<void>(region->directory().visit([&](const region::DirectoryView&) {
      if (!std::exchange(first, false)) return;
      held.set_value();
      enough.get_future().wait();
    }));
  });
  held.get_future().wait();
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 20; ++i) {
    CHECK(store->resolve({.name = "m" + std::to_string(i)}).in_process);
  }
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(10));
  enough.set_value();
  holder.join();
}

TEST_CASE("stats: a region of another layout, or none at all, is refused politely") {
  const auto region = make_region();
  const auto other = open_in(*region, region::kLayoutVersion + 1);
  CHECK(other->resolve(kRequests).in_process);

  auto garbage = StatsStore::open(os::UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC)), kSlot);
  REQUIRE(garbage.has_value());
  CHECK((*garbage)->resolve(kRequests).in_process);
}

TEST_CASE("stats: a slot that does not exist is an error") {
  const auto region = make_region();
  for (const std::uint32_t slot : {region::kSupervisorSlot, region::kSlots}) {
    CHECK_FALSE(StatsStore::open(os::UniqueFd(::fcntl(region->fd(), F_DUPFD_CLOEXEC, 0)), slot)
                    .has_value());
  }
}

TEST_CASE("stats: threads count on their lanes while the main thread sums and resolves") {
  constexpr int kCounts = 20'000;
  const auto region = make_region({.lanes = 8, .cells_per_lane = 512, .entries = 4});
  const auto store = open_in(*region);
  const MetricId shared = store->resolve(kRequests);
  std::vector<MetricId> ids{shared};
  for (int i = 0; i < 4; ++i) ids.push_back(store->resolve({.name = "m" + std::to_string(i)}));

  std::vector<std::thread> threads;
  for (int i = 0; i < 10; ++i) {  // more than there are lanes
    threads.emplace_back([&] {
      const auto lane = store->claim_lane();
      for (const MetricId id : ids) {
        const region::Counter counter = lane->counter(id);
        for (int n = 0; n < kCounts; ++n) counter.add();
      }
    });
  }
  std::uint64_t last = 0;
  bool backwards = false;
  for (int i = 0; i < 200; ++i) {
    const std::uint64_t now = store->sum(shared);
    backwards = backwards || now < last;
    last = now;
    store->prometheus_text();
  }
  for (std::thread& thread : threads) thread.join();
  CHECK_FALSE(backwards);
  for (const MetricId id : ids) CHECK(store->sum(id) == 10U * kCounts);
}

}  // namespace
}  // namespace baton::proxy
