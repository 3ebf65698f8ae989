// The supervisor's part in the region: generations' slots, what dead ones leave behind, its own
// counters, counts that arrive by RPC, and the export.
//
// Thread: the supervisor's. Owns: the region's mapping and lane 0. Borrows: the state.
// Invariant: every generation has a slot from its start until its metrics may go.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "proto/control.pb.h"
#include "proto/generation.pb.h"
#include "shared/os/error.h"
#include "shared/region/kept_counts.h"
#include "shared/region/region.h"
#include "shared/region/sample.h"
#include "supervisor/move_count.h"
#include "supervisor/state.h"

namespace baton::supervisor {

class SupervisorRegion {
 public:
  static os::Result<std::unique_ptr<SupervisorRegion>> create(SupervisorState& state);

  // Goes on with the region of the supervisor before, which is dead or was this process. Its gauges
  // of generations that report theirs are counted anew. Error: of another layout, or none.
  static os::Result<std::unique_ptr<SupervisorRegion>> attach(SupervisorState& state,
                                                              os::UniqueFd fd);

  // A new one for a state whose region is lost: its generations get new slots.
  static os::Result<std::unique_ptr<SupervisorRegion>> replace(SupervisorState& state);

  int fd() const { return region_->fd(); }
  static std::uint64_t layout() { return region::kLayoutVersion; }

  // Error: all slots are taken.
  os::Result<void> claim_slot(GenerationRecord& generation);
  // Copies what `status` shows into the generation's slot.
  void publish(const GenerationRecord& generation);

  std::uint64_t connections(const GenerationRecord& generation) const;
  std::uint64_t moved_in(const GenerationRecord& generation) const;
  std::uint64_t moved_out(const GenerationRecord& generation) const;
  MoveCount moves(const GenerationRecord& generation) const;
  // Of all generations so far.
  MoveTotals move_totals() const;

  // The process has ended: its gauges are zeroed, its lanes free, its counters stay.
  void reclaim(const GenerationRecord& generation);
  // ... and nobody waits for its metrics. False: the slot is not free yet; to be tried again.
  bool forget(std::uint32_t slot);

  enum class ReloadResult : std::uint8_t { Ok, Failed, RolledBack };
  void count_reload(ReloadResult result);
  void count_crash();

  // Counts that a generation could not make in the region itself; kept in the state if there is no
  // room in it. False: some are malformed.
  bool add(GenerationRecord& generation, const proto::StatsDelta& delta);

  // Every metric in use, the supervisor's own about generations included. Errors: a bad
  // filter (code 0); the region cannot be read.
  os::Result<std::string> text(proto::StatsFormat format, const std::string& filter);

 private:
  SupervisorRegion(SupervisorState& state, std::unique_ptr<region::Region> region,
                   region::Lane lane);
  static os::Result<std::unique_ptr<SupervisorRegion>> with_lane(
      SupervisorState& state, std::unique_ptr<region::Region> region);
  os::Result<void> count_reported_gauges();
  os::Result<void> resolve_counters();
  bool add(GenerationRecord& generation, const region::MetricDescription& description,
           std::span<const std::int64_t> cells);
  os::Result<std::vector<region::MetricSample>> samples() const;

  SupervisorState& state_;
  std::unique_ptr<region::Region> region_;
  region::Lane lane_;
  region::KeptCounts kept_;
  region::Counter reloads_[3];
  region::Counter crashes_;
};

}  // namespace baton::supervisor
