#include "shared/region/snapshot.h"

#include <utility>

namespace baton::region {
namespace {

MetricSample overflow_sample(const Region& region) {
  std::uint64_t metrics = 0;
  for (const GenerationInfo& generation : region.generations().all()) {
    metrics += generation.metrics_overflowed;
  }
  return {.description = {.name = "baton_region_metrics_overflowed",
                          .help = "Metrics counted in process memory because the region is full.",
                          .kind = MetricKind::Gauge},
          .cells = {metrics}};
}

}  // namespace

os::Result<std::vector<MetricSample>> snapshot(Region& region) {
  std::vector<MetricSample> samples;
  auto done = region.directory().visit([&](const DirectoryView& view) {
    MetricSample sample{.description = view.description,
                        .cells = std::vector<std::uint64_t>(view.cell_count)};
    region.lanes().add_sums(view.first_cell, sample.cells);
    samples.push_back(std::move(sample));
  });
  if (!done) return std::unexpected(done.error());
  samples.push_back(overflow_sample(region));
  return samples;
}

}  // namespace baton::region
