#include "supervisor/supervisor_region.h"

#include <algorithm>

#include "shared/os/log.h"
#include "shared/region/exporters.h"
#include "shared/region/sample_filter.h"
#include "shared/region/snapshot.h"

namespace baton::supervisor {
namespace {

using region::MetricDescription;
using region::MetricKind;
using region::MetricUnit;

std::uint64_t to_unix_ms(double seconds) { return static_cast<std::uint64_t>(seconds * 1000); }

region::GenerationState region_state(const GenerationRecord& generation) {
  if (generation.role == Role::Dying) return region::GenerationState::Exited;
  switch (generation.phase) {
    case Phase::Starting:
    case Phase::Negotiating:
    case Phase::Inheriting:
    case Phase::Warming:
      return region::GenerationState::Starting;
    case Phase::Ready:
      return region::GenerationState::Ready;
    case Phase::Serving:
      return region::GenerationState::Serving;
    case Phase::Paused:
      return region::GenerationState::Paused;
    case Phase::Draining:
      return region::GenerationState::Draining;
  }
  return region::GenerationState::Exited;
}

MetricDescription reloads_metric(std::string_view result) {
  return {.name = "baton_reloads_total",
          .labels = region::label("result", result),
          .help = "Reloads and rollbacks asked for, by their outcome"};
}

region::MetricSample generation_sample(const GenerationRecord& generation) {
  return {.description = {.name = "baton_generation",
                          .labels = region::label("id", std::to_string(generation.id)) + "," +
                                    region::label("state", status_name(generation)) + "," +
                                    region::label("version", generation.version),
                          .help = "1 for each generation that runs",
                          .kind = MetricKind::Gauge},
          .cells = {1}};
}

MetricDescription description_of(const proto::StatsDelta::Metric& metric) {
  return {.name = metric.name(),
          .labels = metric.labels(),
          .help = metric.help(),
          .kind = static_cast<MetricKind>(metric.kind()),
          .unit = static_cast<MetricUnit>(metric.unit())};
}

}  // namespace

os::Result<std::unique_ptr<SupervisorRegion>> SupervisorRegion::create(SupervisorState& state) {
  auto region = region::Region::create();
  if (!region) return std::unexpected(region.error());
  return with_lane(state, std::move(*region));
}

os::Result<std::unique_ptr<SupervisorRegion>> SupervisorRegion::attach(SupervisorState& state,
                                                                       os::UniqueFd fd) {
  auto region = region::Region::attach(std::move(fd), {.role = region::Role::Supervisor});
  if (!region) return std::unexpected(region.error());
  if (const auto freed = (*region)->reclaim_dead(region::kSupervisorSlot); !freed) {
    return std::unexpected(freed.error());
  }
  auto result = with_lane(state, std::move(*region));
  if (!result) return result;
  if (const auto counted = (*result)->count_reported_gauges(); !counted) {
    return std::unexpected(counted.error());
  }
  return result;
}

os::Result<std::unique_ptr<SupervisorRegion>> SupervisorRegion::replace(SupervisorState& state) {
  auto result = create(state);
  if (!result) return result;
  state.orphaned_slots.clear();
  state.kept_metrics.clear();
  for (auto& [id, generation] : state.generations) {
    generation.shares_region = false;
    if (const auto claimed = (*result)->claim_slot(generation); !claimed) {
      return std::unexpected(claimed.error());
    }
  }
  return result;
}

os::Result<void> SupervisorRegion::count_reported_gauges() {
  const auto gauges = region_->directory().gauge_cells();
  if (!gauges) return std::unexpected(gauges.error());
  for (const auto& [id, generation] : state_.generations) {
    for (const auto& [cell, value] : generation.reported_gauges) {
      if (std::ranges::find(*gauges, cell) != gauges->end()) lane_.gauge(cell).add(value);
    }
  }
  return {};
}

os::Result<std::unique_ptr<SupervisorRegion>> SupervisorRegion::with_lane(
    SupervisorState& state, std::unique_ptr<region::Region> region) {
  auto lane = region->claim_lane(region::kSupervisorSlot, 0);
  if (!lane) return std::unexpected(lane.error());
  std::unique_ptr<SupervisorRegion> result(
      new SupervisorRegion(state, std::move(region), std::move(*lane)));
  if (const auto resolved = result->resolve_counters(); !resolved) {
    return std::unexpected(resolved.error());
  }
  return result;
}

SupervisorRegion::SupervisorRegion(SupervisorState& state, std::unique_ptr<region::Region> region,
                                   region::Lane lane)
    : state_(state), region_(std::move(region)), lane_(std::move(lane)), kept_(state.kept_metrics) {
  state_.region_fd = region_->fd();
  state_.region_layout = layout();
}

os::Result<void> SupervisorRegion::resolve_counters() {
  const auto counter = [this](const MetricDescription& metric) -> os::Result<region::Counter> {
    const auto id = region_->directory().find_or_add(metric, region::kSupervisorSlot);
    if (!id) return std::unexpected(id.error());
    return lane_.counter(id->first_cell);
  };
  int position = 0;
  for (const std::string_view result : {"ok", "failed", "rolled_back"}) {
    auto reloads = counter(reloads_metric(result));
    if (!reloads) return std::unexpected(reloads.error());
    reloads_[position++] = *reloads;
  }
  auto crashes = counter({.name = "baton_generation_crashes_total",
                          .help = "Generations in charge that ended without being told to"});
  if (!crashes) return std::unexpected(crashes.error());
  crashes_ = *crashes;
  return {};
}

os::Result<void> SupervisorRegion::claim_slot(GenerationRecord& generation) {
  const auto slot = region_->generations().claim(generation.id, to_unix_ms(generation.started));
  if (!slot) return os::plain_error("too many generations are still running");
  generation.region_slot = *slot;
  return {};
}

void SupervisorRegion::publish(const GenerationRecord& generation) {
  region::GenerationTable& table = region_->generations();
  table.set_pid(generation.region_slot, static_cast<std::uint32_t>(generation.pid));
  table.set_state(generation.region_slot, region_state(generation));
  table.set_version(generation.region_slot, generation.version);
  table.set_drain_deadline(generation.region_slot,
                           to_unix_ms(generation.drain_deadline.value_or(0)));
}

std::uint64_t SupervisorRegion::connections(const GenerationRecord& generation) const {
  // Both: one that shares the region reports what its threads without a lane hold.
  std::int64_t held = 0;
  if (generation.shares_region) {
    held += static_cast<std::int64_t>(region_->connections_of(generation.region_slot));
  }
  const auto reported = generation.reported_gauges.find(region::kHeldCell);
  if (reported != generation.reported_gauges.end()) held += reported->second;
  return static_cast<std::uint64_t>(std::max<std::int64_t>(held, 0));
}

std::uint64_t SupervisorRegion::moved_in(const GenerationRecord& generation) const {
  const auto info = region_->generations().at(generation.region_slot);
  return info ? info->moved_in : 0;
}

std::uint64_t SupervisorRegion::moved_out(const GenerationRecord& generation) const {
  const auto info = region_->generations().at(generation.region_slot);
  return info ? info->moved_out : 0;
}

MoveCount SupervisorRegion::moves(const GenerationRecord& generation) const {
  return {.moved = moved_out(generation), .left = connections(generation)};
}

MoveTotals SupervisorRegion::move_totals() const {
  MoveTotals totals;
  const auto samples = this->samples();
  if (!samples) return totals;
  constexpr std::string_view kBegin = "reason=\"";
  for (const region::MetricSample& sample : *samples) {
    const std::string& name = sample.description.name;
    if (sample.cells.empty()) continue;
    if (name == "baton_listener_connections_cut_total") totals.cut += sample.cells.front();
    if (name != "baton_connections_move_rejected_total") continue;
    const std::string& labels = sample.description.labels;
    if (!labels.starts_with(kBegin) || !labels.ends_with('"')) continue;
    totals.rejected[labels.substr(kBegin.size(), labels.size() - kBegin.size() - 1)] +=
        sample.cells.front();
  }
  return totals;
}

void SupervisorRegion::reclaim(const GenerationRecord& generation) {
  if (const auto done = region_->reclaim_dead(generation.region_slot); !done) {
    log::error("cannot free the lanes of generation {}: {}", generation.id, done.error().text());
  }
  for (const auto& [cell, value] : generation.reported_gauges) lane_.gauge(cell).sub(value);
  kept_.reclaim_dead(generation.region_slot);
}

bool SupervisorRegion::forget(std::uint32_t slot) {
  const auto done = region_->forget(slot);
  if (!done) {
    log::error("cannot free slot {} of the region: {}", slot, done.error().text());
    return false;
  }
  kept_.forget(slot);
  return true;
}

void SupervisorRegion::count_reload(ReloadResult result) {
  reloads_[static_cast<int>(result)].add();
}

void SupervisorRegion::count_crash() { crashes_.add(); }

bool SupervisorRegion::add(GenerationRecord& generation, const proto::StatsDelta& delta) {
  region::GenerationTable& table = region_->generations();
  table.count_moved_in(generation.region_slot, delta.moved_in());
  table.count_moved_out(generation.region_slot, delta.moved_out());
  bool all = true;
  for (const proto::StatsDelta::Metric& metric : delta.metrics()) {
    const MetricDescription description = description_of(metric);
    const std::span<const std::int64_t> cells(metric.cells().data(),
                                              static_cast<std::size_t>(metric.cells_size()));
    const bool added =
        region::is_well_formed(description, cells) && add(generation, description, cells);
    all = all && added;
  }
  return all;
}

bool SupervisorRegion::add(GenerationRecord& generation, const MetricDescription& description,
                           std::span<const std::int64_t> cells) {
  if (kept_.holds(description)) return kept_.add(generation.region_slot, description, cells);
  // In the name of the generation: when it has gone, and nobody else uses them, they go too.
  const auto id = region_->directory().find_or_add(description, generation.region_slot);
  if (!id) return kept_.add(generation.region_slot, description, cells);
  if (description.kind == MetricKind::Gauge) {
    lane_.gauge(id->first_cell).add(cells[0]);
    generation.reported_gauges[id->first_cell] += cells[0];
    return true;
  }
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (cells[i] == 0) continue;
    lane_.counter(id->first_cell + static_cast<std::uint32_t>(i))
        .add(static_cast<std::uint64_t>(cells[i]));
  }
  return true;
}

os::Result<std::vector<region::MetricSample>> SupervisorRegion::samples() const {
  auto samples = region::snapshot(*region_);
  if (samples) region::merge(*samples, kept_.samples());
  return samples;
}

os::Result<std::string> SupervisorRegion::text(proto::StatsFormat format,
                                               const std::string& filter) {
  auto samples = this->samples();
  if (!samples) return std::unexpected(samples.error());
  for (const auto& [id, generation] : state_.generations) {
    samples->push_back(generation_sample(generation));
  }
  auto wanted = region::filter_samples(std::move(*samples), filter);
  if (!wanted) return std::unexpected(wanted.error());
  switch (format) {
    case proto::STATS_JSON:
      return region::json_text(std::move(*wanted));
    case proto::STATS_PROMETHEUS:
      return region::prometheus_text(std::move(*wanted));
    default:
      return region::plain_text(std::move(*wanted));
  }
}

}  // namespace baton::supervisor
