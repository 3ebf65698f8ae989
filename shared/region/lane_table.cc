#include "shared/region/lane_table.h"

#include <algorithm>

#include "shared/os/check.h"
#include "shared/region/slots.h"

namespace baton::region {
namespace {

void raise_to(Atomic32& mark, std::uint32_t value) {
  std::uint32_t seen = mark.load(kRelaxed);
  while (seen < value && !mark.compare_exchange_weak(seen, value, std::memory_order_acq_rel)) {
  }
}

constexpr std::uint32_t page_of(std::uint32_t cell) { return cell / kCellsPerPage; }

}  // namespace

std::optional<std::uint32_t> LaneTable::claim(std::uint32_t slot, std::uint32_t pid,
                                              std::uint32_t index) {
  const std::uint64_t owner = LaneHeader::kTaken | std::uint64_t{slot} << 32 | pid;
  const bool is_supervisor = slot == kSupervisorSlot;
  const std::uint32_t first = is_supervisor ? kSupervisorLane : kSupervisorLane + 1;
  const std::uint32_t end = is_supervisor ? kSupervisorLane + 1 : memory_.geometry.lanes;
  for (std::uint32_t lane = first; lane < end; ++lane) {
    LaneHeader& header = memory_.lanes[lane];
    std::uint64_t expected = 0;
    if (header.owner.load(kRelaxed) != 0) continue;
    // Before it is owned, so that a claimant that dies in between leaves no lane beyond the mark.
    raise_to(memory_.header->lanes_used, lane + 1);
    // Acquire: what the last owner counted is seen and gone on from.
    if (!header.owner.compare_exchange_strong(expected, owner, std::memory_order_acq_rel)) continue;
    header.index.store(index, kRelaxed);
    return lane;
  }
  return std::nullopt;
}

void LaneTable::release(std::uint32_t lane, std::span<const std::uint32_t> gauge_cells) {
  Cell* const cells = memory_.lane_cells(lane);
  for (const std::uint32_t cell : gauge_cells) {
    if (is_touched(lane, cell)) cells[cell].store(0, kRelaxed);
  }
  memory_.lanes[lane].owner.store(0, std::memory_order_release);
}

void LaneTable::release_all(std::uint32_t slot, std::span<const std::uint32_t> gauge_cells) {
  for (std::uint32_t lane = 0; lane < used(); ++lane) {
    if (is_owned_by(lane, slot)) release(lane, gauge_cells);
  }
}

Cell* LaneTable::cells(std::uint32_t lane, std::uint32_t first, std::uint32_t count) {
  BATON_CHECK(count > 0 && count <= memory_.geometry.cells_per_lane &&
              first <= memory_.geometry.cells_per_lane - count);
  for (std::uint32_t page = page_of(first); page <= page_of(first + count - 1); ++page) {
    Atomic64& word = memory_.lanes[lane].pages[page / 64];
    const std::uint64_t bit = std::uint64_t{1} << page % 64;
    if ((word.load(kRelaxed) & bit) == 0) word.fetch_or(bit, std::memory_order_acq_rel);
  }
  return memory_.lane_cells(lane) + first;
}

std::uint64_t LaneTable::sum(std::uint32_t cell) const {
  if (cell >= memory_.geometry.cells_per_lane) return 0;
  std::uint64_t total = 0;
  for (std::uint32_t lane = 0; lane < used(); ++lane) {
    if (is_touched(lane, cell)) total += memory_.lane_cells(lane)[cell].load(kRelaxed);
  }
  return total;
}

void LaneTable::add_sums(std::uint32_t first, std::span<std::uint64_t> totals) const {
  for (std::uint32_t lane = 0; lane < used(); ++lane) {
    for_touched(lane, first, static_cast<std::uint32_t>(totals.size()),
                [&](std::uint32_t index, Cell& cell) { totals[index] += cell.load(kRelaxed); });
  }
}

std::uint64_t LaneTable::sum_of_slot(std::uint32_t slot, std::uint32_t cell) const {
  std::uint64_t total = 0;
  for (std::uint32_t lane = 0; lane < used(); ++lane) {
    if (is_owned_by(lane, slot) && is_touched(lane, cell)) {
      total += memory_.lane_cells(lane)[cell].load(kRelaxed);
    }
  }
  return total;
}

void LaneTable::zero(std::uint32_t first, std::uint32_t count) {
  for (std::uint32_t lane = 0; lane < used(); ++lane) {
    for_touched(lane, first, count, [](std::uint32_t, Cell& cell) { cell.store(0, kRelaxed); });
  }
}

std::uint32_t LaneTable::used() const {
  const std::uint32_t mark = memory_.header->lanes_used.load(std::memory_order_acquire);
  return std::min(mark, memory_.geometry.lanes);
}

bool LaneTable::is_owned_by(std::uint32_t lane, std::uint32_t slot) const {
  const std::uint64_t owner = memory_.lanes[lane].owner.load(std::memory_order_acquire);
  return owner >> 32 == (LaneHeader::kTaken >> 32 | slot);
}

bool LaneTable::is_touched(std::uint32_t lane, std::uint32_t cell) const {
  const std::uint32_t page = page_of(cell);
  const std::uint64_t word = memory_.lanes[lane].pages[page / 64].load(std::memory_order_acquire);
  return (word >> page % 64 & 1) != 0;
}

// Calls `visit(index from first, cell)` for the cells on pages that were ever counted on.
template <class Visit>
void LaneTable::for_touched(std::uint32_t lane, std::uint32_t first, std::uint32_t count,
                            Visit visit) const {
  Cell* const cells = memory_.lane_cells(lane);
  const std::uint32_t end = std::min(first + count, memory_.geometry.cells_per_lane);
  for (std::uint32_t cell = first; cell < end;) {
    const std::uint32_t page_end = std::min(end, (page_of(cell) + 1) * kCellsPerPage);
    if (is_touched(lane, cell)) {
      for (; cell < page_end; ++cell) visit(cell - first, cells[cell]);
    }
    cell = page_end;
  }
}

}  // namespace baton::region
