// The lanes: arrays of cells with one writing thread each. A total is the sum over all lanes.
//
// A lane that is given back, or whose owner died, keeps its counters and histograms, and its next
// owner goes on counting from them: totals are exact across reloads and crashes. Only gauges are
// zeroed, because what they counted is gone with their process.
// Thread: any; claims are by compare-and-swap. Borrows: the region's memory.
// Invariant: only the owner of a lane stores to its cells; while it is free, nobody does but those
// who zero cells under the directory's lock.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "shared/region/layout.h"

namespace baton::region {

class LaneTable {
 public:
  explicit LaneTable(const Memory& memory) : memory_(memory) {}

  // The lowest free lane; nothing: all are taken. Lane 0 is for the supervisor's slot only.
  std::optional<std::uint32_t> claim(std::uint32_t slot, std::uint32_t pid, std::uint32_t index);
  // Frees one lane, gauges zeroed. `gauge_cells`: where the directory has gauges.
  void release(std::uint32_t lane, std::span<const std::uint32_t> gauge_cells);
  // The same for all lanes of a slot whose process has ended.
  void release_all(std::uint32_t slot, std::span<const std::uint32_t> gauge_cells);

  // Cells of one lane, for its owner to count on, and marks their pages as used.
  // Precondition: they exist: first + count <= cells per lane.
  Cell* cells(std::uint32_t lane, std::uint32_t first, std::uint32_t count);

  // Over all lanes, free ones too. A gauge's sum is a two's complement number.
  std::uint64_t sum(std::uint32_t cell) const;
  // Adds the sums of neighbouring cells to `totals`.
  void add_sums(std::uint32_t first, std::span<std::uint64_t> totals) const;
  // The same over the lanes of one slot.
  std::uint64_t sum_of_slot(std::uint32_t slot, std::uint32_t cell) const;
  // In every lane. Under the directory's lock, for cells nobody uses.
  void zero(std::uint32_t first, std::uint32_t count);

 private:
  std::uint32_t used() const;
  bool is_owned_by(std::uint32_t lane, std::uint32_t slot) const;
  bool is_touched(std::uint32_t lane, std::uint32_t cell) const;
  template <class Visit>
  void for_touched(std::uint32_t lane, std::uint32_t first, std::uint32_t count, Visit visit) const;

  Memory memory_;
};

}  // namespace baton::region
