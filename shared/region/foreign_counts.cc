#include "shared/region/foreign_counts.h"

#include <algorithm>

namespace baton::region {
namespace {

bool is_well_formed(const MetricDescription& description, std::span<const std::int64_t> cells) {
  if (description.kind < MetricKind::Counter || description.kind > MetricKind::Histogram) {
    return false;
  }
  if (description.name.empty() || cells.size() != cells_of(description.kind)) return false;
  return description.kind == MetricKind::Gauge ||
         std::ranges::all_of(cells, [](std::int64_t change) { return change >= 0; });
}

}  // namespace

bool ForeignCounts::add(std::uint32_t slot, const MetricDescription& description,
                        std::span<const std::int64_t> cells) {
  if (slot >= kSlots || !is_well_formed(description, cells)) return false;
  if (!apply(slot, description, cells)) return false;
  if (description.kind == MetricKind::Gauge) {
    GaugeShare& share = shares_[{slot, full_name(description)}];
    share.description = description;
    share.value += cells[0];
  }
  return true;
}

void ForeignCounts::reclaim_dead(std::uint32_t slot) {
  for (const auto& [key, share] : shares_) {
    if (key.first != slot || share.value == 0) continue;
    const std::int64_t change = -share.value;
    apply(slot, share.description, {&change, 1});
  }
  std::erase_if(shares_, [slot](const auto& item) { return item.first.first == slot; });
}

void ForeignCounts::forget(std::uint32_t slot) {
  reclaim_dead(slot);
  for (auto& [name, kept] : kept_) kept.users &= ~(std::uint64_t{1} << slot);
  std::erase_if(kept_, [](const auto& item) { return item.second.users == 0; });
}

std::uint64_t ForeignCounts::connections_of(std::uint32_t slot) const {
  const auto share = shares_.find({slot, full_name(held_connections_metric())});
  if (share == shares_.end() || share->second.value < 0) return 0;
  return static_cast<std::uint64_t>(share->second.value);
}

std::vector<MetricSample> ForeignCounts::samples() const {
  std::vector<MetricSample> samples;
  for (const auto& [name, kept] : kept_) samples.push_back(kept.sample);
  return samples;
}

// A metric that is kept here once stays here, so that its gauges are taken back from where they
// were added.
bool ForeignCounts::apply(std::uint32_t slot, const MetricDescription& description,
                          std::span<const std::int64_t> cells) {
  if (kept_.contains(full_name(description))) return keep(slot, description, cells);
  const auto id = region_->directory().find_or_add(description, slot);
  if (!id) return keep(slot, description, cells);
  Cell* const lane_cells = lane_->cells(id->first_cell, static_cast<std::uint32_t>(cells.size()));
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (cells[i] != 0) Gauge(&lane_cells[i]).add(cells[i]);
  }
  return true;
}

bool ForeignCounts::keep(std::uint32_t slot, const MetricDescription& description,
                         std::span<const std::int64_t> cells) {
  Kept& kept = kept_[full_name(description)];
  if (kept.users == 0) {
    kept.sample = {.description = description, .cells = std::vector<std::uint64_t>(cells.size())};
  }
  if (kept.sample.description.kind != description.kind) return false;
  kept.users |= std::uint64_t{1} << slot;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    kept.sample.cells[i] += static_cast<std::uint64_t>(cells[i]);
  }
  return true;
}

}  // namespace baton::region
