#include "proxy/stats/stats_store.h"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

#include "proxy/stats/private_metrics.h"
#include "shared/os/log.h"
#include "shared/region/exporters.h"
#include "shared/region/region.h"
#include "shared/region/snapshot.h"

namespace baton::proxy {
namespace {

// How long the region's directory is left alone once its lock could not be had: whoever holds it is
// stopped, and to wait anew for each metric would use up the time of a start.
constexpr std::chrono::seconds kStuckTime{30};

using region::Cell;
using region::MetricDescription;
using region::MetricId;

class Store final : public StatsStore {
 public:
  // `region`: null when everything is private.
  Store(std::unique_ptr<region::Region> region, std::uint32_t slot)
      : region_(std::move(region)), slot_(slot) {
    if (region_) described_[region::kHeldCell] = region::held_connections_metric();
  }

  region::Region* region() override { return region_.get(); }
  std::uint32_t slot() const override { return slot_; }
  MetricId resolve(const MetricDescription& description) override;
  std::unique_ptr<StatsLane> claim_lane() override;
  std::uint64_t sum(MetricId id) const override;
  std::vector<PrivateMetric> private_metrics() const override { return private_.samples(); }
  void note_reported(const MetricDescription& description,
                     std::span<const std::uint64_t> change) override {
    private_.note_reported(description, change);
  }
  void forget_reported_gauges() override { private_.forget_reported_gauges(); }
  void count_moved_in(std::uint64_t connections) override;
  void count_moved_out(std::uint64_t connections) override;
  Moves private_moves() const override { return {.in = moved_in_, .out = moved_out_}; }
  std::string prometheus_text() const override;

  PrivateMetrics& private_memory() { return private_; }
  MetricId held() {
    if (region_) return {.first_cell = region::kHeldCell};
    return resolve(region::held_connections_metric());
  }
  // The private metric that stands in for one of the region in a lane that is not in the region.
  std::uint32_t twin_of(std::uint32_t region_cell);

 private:
  os::Result<MetricId> find_in_region(const MetricDescription& description);

  const std::unique_ptr<region::Region> region_;
  const std::uint32_t slot_;
  PrivateMetrics private_;
  std::atomic<std::uint64_t> moved_in_ = 0;
  std::atomic<std::uint64_t> moved_out_ = 0;
  std::chrono::steady_clock::time_point stuck_until_;  // of resolve()

  mutable std::mutex mutex_;  // guards what follows
  std::uint32_t lanes_claimed_ = 0;
  std::map<std::uint32_t, MetricDescription> described_;  // of the region, by first cell
  std::map<std::uint32_t, std::uint32_t> twins_;          // region cell -> private cell
};

class StoreLane final : public StatsLane {
 public:
  StoreLane(Store* store, std::optional<region::Lane> lane)
      : store_(store), lane_(std::move(lane)), private_(&store->private_memory()) {}

  region::Counter counter(MetricId id) override { return region::Counter(cells(id, 1)); }
  region::Gauge gauge(MetricId id) override { return region::Gauge(cells(id, 1)); }
  region::Histogram histogram(MetricId id) override {
    return region::Histogram(cells(id, region::kHistogramCells));
  }
  region::Gauge held() override { return gauge(store_->held()); }

 private:
  Cell* cells(MetricId id, std::uint32_t count) {
    if (id.in_process) return private_.cells(id.first_cell, count);
    if (lane_) return lane_->cells(id.first_cell, count);
    return private_.cells(store_->twin_of(id.first_cell), count);
  }

  Store* store_;
  std::optional<region::Lane> lane_;
  PrivateMetrics::Lane private_;
};

os::Result<MetricId> Store::find_in_region(const MetricDescription& description) {
  const auto now = std::chrono::steady_clock::now();
  if (now < stuck_until_) return os::plain_error("the region's directory is locked");
  const auto id = region_->directory().find_or_add(description, slot_);
  if (!id && id.error().code == ETIMEDOUT) {
    log::warning("counting in process memory: {}", id.error().text());
    stuck_until_ = std::chrono::steady_clock::now() + kStuckTime;
  }
  return id;
}

MetricId Store::resolve(const MetricDescription& description) {
  if (region_) {
    const auto id = find_in_region(description);
    if (id) {
      const std::scoped_lock lock(mutex_);
      described_[id->first_cell] = description;
      return *id;
    }
    const auto [first_cell, is_new] = private_.resolve(description);
    if (is_new) {
      region_->generations().count_overflowed(slot_, 1);
      log::debug("counting in process memory: {}", id.error().text());
    }
    return {.first_cell = first_cell, .in_process = true};
  }
  return {.first_cell = private_.resolve(description).first_cell, .in_process = true};
}

std::unique_ptr<StatsLane> Store::claim_lane() {
  std::optional<region::Lane> lane;
  if (region_) {
    std::unique_lock lock(mutex_);
    const std::uint32_t index = lanes_claimed_++;
    lock.unlock();
    if (auto claimed = region_->claim_lane(slot_, index)) {
      lane.emplace(std::move(*claimed));
    } else {
      log::warning("counting in process memory: {}", claimed.error().text());
    }
  }
  return std::make_unique<StoreLane>(this, std::move(lane));
}

std::uint64_t Store::sum(MetricId id) const {
  if (id.in_process) return private_.sum(id.first_cell);
  std::optional<std::uint32_t> twin;
  {
    const std::scoped_lock lock(mutex_);
    if (const auto found = twins_.find(id.first_cell); found != twins_.end()) twin = found->second;
  }
  return region_->lanes().sum(id.first_cell) + (twin ? private_.unreported_sum(*twin) : 0);
}

std::uint32_t Store::twin_of(std::uint32_t region_cell) {
  const std::scoped_lock lock(mutex_);
  const auto [twin, is_new] = twins_.try_emplace(region_cell, 0);
  if (is_new) twin->second = private_.resolve(described_.at(region_cell)).first_cell;
  return twin->second;
}

void Store::count_moved_in(std::uint64_t connections) {
  if (region_) return region_->generations().count_moved_in(slot_, connections);
  moved_in_ += connections;
}

void Store::count_moved_out(std::uint64_t connections) {
  if (region_) return region_->generations().count_moved_out(slot_, connections);
  moved_out_ += connections;
}

std::string Store::prometheus_text() const {
  std::vector<region::MetricSample> samples;
  if (region_) {
    if (auto shared = region::snapshot(*region_)) {
      samples = std::move(*shared);
    } else {
      log::warning("statistics without the region's: {}", shared.error().text());
    }
  }
  // What the supervisor has counted of a metric that is in the region is in the region.
  std::set<std::string> shared;
  for (const region::MetricSample& sample : samples) {
    shared.insert(region::full_name(sample.description));
  }
  const auto in_region = [&shared](const region::MetricSample& sample) {
    return shared.contains(region::full_name(sample.description));
  };
  std::vector<region::MetricSample> all = private_.samples();
  std::vector<region::MetricSample> unreported = private_.unreported_samples();
  std::erase_if(all, in_region);
  std::erase_if(unreported, std::not_fn(in_region));
  region::merge(samples, unreported);
  region::merge(samples, all);
  return region::prometheus_text(std::move(samples));
}

}  // namespace

os::Result<std::unique_ptr<StatsStore>> StatsStore::open(os::UniqueFd region_fd, std::uint32_t slot,
                                                         std::uint64_t layout) {
  std::unique_ptr<region::Region> region;
  if (region_fd) {
    if (slot == region::kSupervisorSlot || slot >= region::kSlots) {
      return os::plain_error("no such slot in the region: " + std::to_string(slot));
    }
    auto attached = region::Region::attach(std::move(region_fd), {.layout = layout});
    if (attached) {
      region = std::move(*attached);
    } else {
      log::warning("counting in process memory: {}", attached.error().text());
    }
  }
  return std::make_unique<Store>(std::move(region), slot);
}

}  // namespace baton::proxy
