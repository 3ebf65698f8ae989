// The metrics of the region: name and labels -> kind, unit, cells, and which processes use them.
//
// Cells of a metric are the same in every lane. A metric is used from the moment a process asks for
// it until the supervisor has seen that process end (release_user). Without users it is no longer
// exported, and its cells and entry are taken for others when they are needed, so the region does
// not fill up from configuration changes; asked for before that, it goes on from its old value.
//
// Thread: any; every call takes the directory's lock and fails, unchanged, when it cannot be had
// within a second. Borrows: the region's memory, the lanes.
// Invariants: no two published entries share a cell, and all are below the high-water marks; an
// entry is published by one store, the last one, and what is in its way is removed before. So a
// process may die anywhere: the next one to get the lock has only the marks to put right
// (repair()).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "shared/os/error.h"
#include "shared/region/lane_table.h"
#include "shared/region/layout.h"
#include "shared/region/robust_lock.h"

namespace baton::region {

struct DirectoryView {
  MetricDescription description;
  std::uint32_t first_cell = 0;
  std::uint32_t cell_count = 0;
};

class Directory {
 public:
  Directory(const Memory& memory, LaneTable* lanes, RobustLock* lock)
      : memory_(memory), lanes_(lanes), lock_(lock) {}

  // The metric of this name and these labels, new or not, now used by `slot` too. Errors: the
  // region is full; the name is in use with another kind or unit; a text is too long; no lock.
  os::Result<MetricId> find_or_add(const MetricDescription& description, std::uint32_t slot);
  // The process of `slot` has ended and counts no more.
  os::Result<void> release_user(std::uint32_t slot);

  // Calls `visit` for each metric in use, in the order of their entries, lock held.
  os::Result<void> visit(const std::function<void(const DirectoryView&)>& visit);
  // First cells of all gauges, dead ones included.
  os::Result<std::vector<std::uint32_t>> gauge_cells();

 private:
  struct Place {  // where a new metric goes
    std::uint32_t entry;
    std::uint32_t first_cell;
  };

  os::Result<RobustLock::Guard> lock();
  void repair();
  std::uint32_t used() const;
  bool is_published(std::uint32_t entry) const;
  bool is_dead(std::uint32_t entry) const;
  bool is_well_formed(std::uint32_t entry) const;
  void remove(std::uint32_t entry);
  std::optional<std::uint32_t> find(const MetricDescription& description, std::uint32_t hash) const;
  std::optional<Place> make_place(std::uint32_t cell_count);
  std::optional<std::uint32_t> find_cells(std::uint32_t cell_count);
  std::optional<std::uint32_t> find_entry();
  void write(const Place& place, const MetricDescription& description, std::uint32_t hash,
             std::uint32_t slot);

  Memory memory_;
  LaneTable* lanes_;
  RobustLock* lock_;
};

}  // namespace baton::region
