#include "proxy/stats/private_metrics.h"

#include <algorithm>

#include "shared/os/check.h"

namespace baton::proxy {
namespace {

constexpr std::uint32_t kChunkCells = 1024;
static_assert(region::kHistogramCells <= kChunkCells);

}  // namespace

PrivateMetrics::Lane::Lane(PrivateMetrics* metrics) : metrics_(metrics) {
  const std::scoped_lock lock(metrics_->mutex_);
  metrics_->lanes_.push_back(this);
}

PrivateMetrics::Lane::~Lane() {
  const std::scoped_lock lock(metrics_->mutex_);
  std::erase(metrics_->lanes_, this);
  metrics_->retired_.resize(metrics_->cells_used_);
  for (const Metric& metric : metrics_->metrics_) {
    if (metric.description.kind == region::MetricKind::Gauge) continue;
    for (std::uint32_t i = 0; i < region::cells_of(metric.description.kind); ++i) {
      metrics_->retired_[metric.first_cell + i] += read(metric.first_cell + i);
    }
  }
}

region::Cell* PrivateMetrics::Lane::cells(std::uint32_t first, std::uint32_t count) {
  const std::uint32_t chunk = first / kChunkCells;
  BATON_CHECK(first % kChunkCells + count <= kChunkCells);
  const std::scoped_lock lock(metrics_->mutex_);
  if (chunks_.size() <= chunk) chunks_.resize(chunk + 1);
  if (!chunks_[chunk]) chunks_[chunk] = std::make_unique<region::Cell[]>(kChunkCells);
  return &chunks_[chunk][first % kChunkCells];
}

std::uint64_t PrivateMetrics::Lane::read(std::uint32_t cell) const {
  const std::uint32_t chunk = cell / kChunkCells;
  if (chunk >= chunks_.size() || !chunks_[chunk]) return 0;
  return chunks_[chunk][cell % kChunkCells].load(std::memory_order_relaxed);
}

PrivateMetrics::Resolved PrivateMetrics::resolve(const region::MetricDescription& description) {
  const std::uint32_t count = region::cells_of(description.kind);
  const std::string key = key_of(description);
  const std::scoped_lock lock(mutex_);
  if (const auto found = first_cells_.find(key); found != first_cells_.end()) {
    return {.first_cell = found->second, .is_new = false};
  }
  // A histogram's cells are neighbours, so they may not lie across two chunks.
  if (cells_used_ % kChunkCells + count > kChunkCells) {
    cells_used_ = (cells_used_ / kChunkCells + 1) * kChunkCells;
  }
  const std::uint32_t first = cells_used_;
  cells_used_ += count;
  metrics_.push_back({description, first});
  first_cells_.emplace(key, first);
  return {.first_cell = first, .is_new = true};
}

std::string PrivateMetrics::key_of(const region::MetricDescription& description) {
  return region::full_name(description) + static_cast<char>(description.kind);
}

std::uint64_t PrivateMetrics::sum(std::uint32_t cell) const {
  const std::scoped_lock lock(mutex_);
  return locked_sum(cell, Part::All);
}

std::uint64_t PrivateMetrics::unreported_sum(std::uint32_t cell) const {
  const std::scoped_lock lock(mutex_);
  return locked_sum(cell, Part::Unreported);
}

void PrivateMetrics::note_reported(const region::MetricDescription& description,
                                   std::span<const std::uint64_t> change) {
  const std::scoped_lock lock(mutex_);
  const auto found = first_cells_.find(key_of(description));
  if (found == first_cells_.end() || change.size() > region::cells_of(description.kind)) return;
  reported_.resize(cells_used_);
  for (std::size_t i = 0; i < change.size(); ++i) reported_[found->second + i] += change[i];
}

void PrivateMetrics::forget_reported_gauges() {
  const std::scoped_lock lock(mutex_);
  for (const Metric& metric : metrics_) {
    const bool is_gauge = metric.description.kind == region::MetricKind::Gauge;
    if (is_gauge && metric.first_cell < reported_.size()) reported_[metric.first_cell] = 0;
  }
}

std::uint64_t PrivateMetrics::locked_sum(std::uint32_t cell, Part part) const {
  std::uint64_t total = cell < retired_.size() ? retired_[cell] : 0;
  if (part == Part::Unreported && cell < reported_.size()) total -= reported_[cell];
  for (const Lane* lane : lanes_) total += lane->read(cell);
  return total;
}

std::vector<region::MetricSample> PrivateMetrics::samples() const { return samples_of(Part::All); }

std::vector<region::MetricSample> PrivateMetrics::unreported_samples() const {
  return samples_of(Part::Unreported);
}

std::vector<region::MetricSample> PrivateMetrics::samples_of(Part part) const {
  const std::scoped_lock lock(mutex_);
  std::vector<region::MetricSample> samples;
  samples.reserve(metrics_.size());
  for (const Metric& metric : metrics_) {
    region::MetricSample sample{.description = metric.description, .cells = {}};
    for (std::uint32_t i = 0; i < region::cells_of(metric.description.kind); ++i) {
      sample.cells.push_back(locked_sum(metric.first_cell + i, part));
    }
    samples.push_back(std::move(sample));
  }
  return samples;
}

}  // namespace baton::proxy
