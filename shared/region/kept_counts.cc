#include "shared/region/kept_counts.h"

#include <algorithm>

namespace baton::region {

bool is_well_formed(const MetricDescription& description, std::span<const std::int64_t> cells) {
  if (description.kind < MetricKind::Counter || description.kind > MetricKind::Histogram ||
      description.unit > MetricUnit::Microseconds) {
    return false;
  }
  if (description.name.empty() || cells.size() != cells_of(description.kind)) return false;
  return description.kind == MetricKind::Gauge ||
         std::ranges::all_of(cells, [](std::int64_t change) { return change >= 0; });
}

bool KeptCounts::add(std::uint32_t slot, const MetricDescription& description,
                     std::span<const std::int64_t> cells) {
  KeptMetric& kept = metrics_[full_name(description)];
  if (kept.users.empty()) {
    kept.sample = {.description = description, .cells = std::vector<std::uint64_t>(cells.size())};
  }
  if (kept.sample.description.kind != description.kind) return false;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    kept.sample.cells[i] += static_cast<std::uint64_t>(cells[i]);
  }
  kept.users[slot] += description.kind == MetricKind::Gauge ? cells[0] : 0;
  return true;
}

void KeptCounts::reclaim_dead(std::uint32_t slot) {
  for (auto& [name, kept] : metrics_) {
    const auto user = kept.users.find(slot);
    if (user == kept.users.end()) continue;
    kept.sample.cells[0] -= static_cast<std::uint64_t>(user->second);
    user->second = 0;
  }
}

void KeptCounts::forget(std::uint32_t slot) {
  reclaim_dead(slot);
  for (auto& [name, kept] : metrics_) kept.users.erase(slot);
  std::erase_if(metrics_, [](const auto& item) { return item.second.users.empty(); });
}

void KeptCounts::forget_gauges() {
  for (std::uint32_t slot = 0; slot < kSlots; ++slot) reclaim_dead(slot);
}

std::vector<MetricSample> KeptCounts::samples() const {
  std::vector<MetricSample> samples;
  for (const auto& [name, kept] : metrics_) samples.push_back(kept.sample);
  return samples;
}

}  // namespace baton::region
