#include "shared/region/directory.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "shared/os/check.h"
#include "shared/region/slots.h"

namespace baton::region {
namespace {

struct Extent {
  std::uint32_t first;
  std::uint32_t end;
};

constexpr std::uint32_t pack(MetricKind kind, MetricUnit unit) {
  return static_cast<std::uint32_t>(kind) | static_cast<std::uint32_t>(unit) << 16;
}
constexpr MetricKind kind_of(std::uint32_t packed) {
  return static_cast<MetricKind>(packed & 0xffff);
}
constexpr MetricUnit unit_of(std::uint32_t packed) { return static_cast<MetricUnit>(packed >> 16); }

constexpr bool is_known(std::uint32_t packed) {
  const MetricKind kind = kind_of(packed);
  return kind >= MetricKind::Counter && kind <= MetricKind::Histogram &&
         unit_of(packed) <= MetricUnit::Microseconds;
}

std::uint32_t hash_of(const MetricDescription& description) {
  return hash_of_pair(description.name, '{', description.labels);
}

template <std::size_t N>
bool is_terminated(const char (&text)[N]) {
  return std::memchr(text, 0, N) != nullptr;
}

}  // namespace

os::Result<MetricId> Directory::find_or_add(const MetricDescription& description,
                                            std::uint32_t slot) {
  BATON_CHECK(slot < kSlots);
  if (description.name.empty() || !fits(description.name, sizeof(DirectoryText::name)) ||
      !fits(description.labels, sizeof(DirectoryText::labels)) ||
      !fits(description.help, sizeof(DirectoryText::help))) {
    return os::plain_error("name, labels or help too long for the region:", description.name);
  }
  const auto guard = lock();
  if (!guard) return std::unexpected(guard.error());

  const std::uint32_t hash = hash_of(description);
  if (const auto found = find(description, hash)) {
    DirectoryEntry& entry = memory_.entries[*found];
    if (entry.kind_and_unit == pack(description.kind, description.unit)) {
      entry.users.fetch_or(user_bit(slot), kRelaxed);
      return MetricId{.first_cell = entry.first_cell};
    }
    if (!is_dead(*found)) {
      return os::plain_error("metric exists with another kind or unit:", description.name);
    }
    remove(*found);
  }
  const std::uint32_t cell_count = cells_of(description.kind);
  Atomic32& full_for_cells = memory_.header->full_for_cells;
  const std::uint32_t full_for = full_for_cells.load(kRelaxed);
  const bool known_full = full_for != 0 && cell_count >= full_for;
  const auto place = known_full ? std::nullopt : make_place(cell_count);
  if (!place) {
    if (!known_full) full_for_cells.store(cell_count, kRelaxed);
    return os::plain_error("the region is full, no room for", description.name);
  }
  write(*place, description, hash, slot);
  return MetricId{.first_cell = place->first_cell};
}

os::Result<void> Directory::release_user(std::uint32_t slot) {
  BATON_CHECK(slot < kSlots);
  const auto guard = lock();
  if (!guard) return std::unexpected(guard.error());
  for (std::uint32_t i = 0; i < used(); ++i) {
    memory_.entries[i].users.fetch_and(~user_bit(slot), kRelaxed);
  }
  memory_.header->full_for_cells.store(0, kRelaxed);
  return {};
}

os::Result<void> Directory::visit(const std::function<void(const DirectoryView&)>& visit) {
  const auto guard = lock();
  if (!guard) return std::unexpected(guard.error());
  for (std::uint32_t i = 0; i < used(); ++i) {
    // Checked each time: a wild store of any process may have hit the directory.
    if (!is_published(i) || is_dead(i) || !is_well_formed(i)) continue;
    const DirectoryEntry& entry = memory_.entries[i];
    const DirectoryText& text = memory_.texts[i];
    visit({.description = {.name = text.name,
                           .labels = text.labels,
                           .help = text.help,
                           .kind = kind_of(entry.kind_and_unit),
                           .unit = unit_of(entry.kind_and_unit)},
           .first_cell = entry.first_cell,
           .cell_count = entry.cell_count});
  }
  return {};
}

os::Result<std::vector<std::uint32_t>> Directory::gauge_cells() {
  const auto guard = lock();
  if (!guard) return std::unexpected(guard.error());
  std::vector<std::uint32_t> cells;
  for (std::uint32_t i = 0; i < used(); ++i) {
    if (is_published(i) && is_well_formed(i) &&
        kind_of(memory_.entries[i].kind_and_unit) == MetricKind::Gauge) {
      cells.push_back(memory_.entries[i].first_cell);
    }
  }
  return cells;
}

os::Result<RobustLock::Guard> Directory::lock() {
  return lock_->acquire(kLockTimeout, [this] { repair(); });
}

// A dead owner may have left an entry that is not published yet (invisible, and written over by the
// next one) and marks that are ahead of what was published. What is published is checked anyway: an
// owner that died of memory corruption may have corrupted more. No allocation: it must not fail.
void Directory::repair() {
  std::uint32_t entries_end = 0;
  std::uint32_t cells_end = 0;
  for (std::uint32_t i = 0; i < used(); ++i) {
    if (!is_published(i)) continue;
    if (!is_well_formed(i)) {
      remove(i);
      continue;
    }
    entries_end = i + 1;
    const DirectoryEntry& entry = memory_.entries[i];
    cells_end = std::max(cells_end, entry.first_cell + entry.cell_count);
  }
  memory_.header->entries_used.store(entries_end, kRelaxed);
  memory_.header->cells_used.store(cells_end, kRelaxed);
  memory_.header->full_for_cells.store(0, kRelaxed);
}

std::uint32_t Directory::used() const {
  return std::min(memory_.header->entries_used.load(kRelaxed), memory_.geometry.entries);
}

bool Directory::is_published(std::uint32_t entry) const {
  return memory_.entries[entry].state.load(std::memory_order_acquire) ==
         static_cast<std::uint32_t>(EntryState::Published);
}

bool Directory::is_dead(std::uint32_t entry) const {
  return memory_.entries[entry].users.load(kRelaxed) == 0;
}

bool Directory::is_well_formed(std::uint32_t index) const {
  const DirectoryEntry& entry = memory_.entries[index];
  const DirectoryText& text = memory_.texts[index];
  return is_known(entry.kind_and_unit) &&
         entry.cell_count == cells_of(kind_of(entry.kind_and_unit)) &&
         entry.cell_count <= memory_.geometry.cells_per_lane &&
         entry.first_cell <= memory_.geometry.cells_per_lane - entry.cell_count &&
         is_terminated(text.name) && is_terminated(text.labels) && is_terminated(text.help);
}

void Directory::remove(std::uint32_t entry) {
  memory_.entries[entry].state.store(static_cast<std::uint32_t>(EntryState::Empty),
                                     std::memory_order_release);
}

std::optional<std::uint32_t> Directory::find(const MetricDescription& description,
                                             std::uint32_t hash) const {
  for (std::uint32_t i = 0; i < used(); ++i) {
    if (memory_.entries[i].hash != hash || !is_published(i) || !is_well_formed(i)) continue;
    const DirectoryText& text = memory_.texts[i];
    if (description.name == text.name && description.labels == text.labels) return i;
  }
  return std::nullopt;
}

// In this order: a dead entry whose cells are just as many; cells and an entry never used; a gap
// between the cells in use.
std::optional<Directory::Place> Directory::make_place(std::uint32_t cell_count) {
  for (std::uint32_t i = 0; i < used(); ++i) {
    const DirectoryEntry& entry = memory_.entries[i];
    if (!is_published(i) || !is_dead(i) || entry.cell_count != cell_count) continue;
    if (!is_well_formed(i)) continue;
    remove(i);
    lanes_->zero(entry.first_cell, cell_count);
    return Place{.entry = i, .first_cell = entry.first_cell};
  }
  const auto cells = find_cells(cell_count);
  const auto entry = cells ? find_entry() : std::nullopt;
  if (!entry) return std::nullopt;
  lanes_->zero(*cells, cell_count);
  return Place{.entry = *entry, .first_cell = *cells};
}

std::optional<std::uint32_t> Directory::find_cells(std::uint32_t cell_count) {
  Atomic32& mark = memory_.header->cells_used;
  const std::uint32_t capacity = memory_.geometry.cells_per_lane;
  const std::uint32_t end = std::min(mark.load(kRelaxed), capacity);
  if (capacity - end >= cell_count) {
    mark.store(end + cell_count, kRelaxed);
    return end;
  }

  std::vector<Extent> live;
  for (std::uint32_t i = 0; i < used(); ++i) {
    if (!is_published(i) || is_dead(i) || !is_well_formed(i)) continue;
    const DirectoryEntry& entry = memory_.entries[i];
    live.push_back({entry.first_cell, entry.first_cell + entry.cell_count});
  }
  std::ranges::sort(live, {}, &Extent::first);
  live.push_back({capacity, capacity});
  std::uint32_t first = 0;
  for (const Extent& extent : live) {
    if (extent.first >= first && extent.first - first >= cell_count) break;
    first = std::max(first, extent.end);
  }
  if (first + cell_count > capacity) return std::nullopt;

  mark.store(std::max(end, first + cell_count), kRelaxed);
  for (std::uint32_t i = 0; i < used(); ++i) {
    const DirectoryEntry& entry = memory_.entries[i];
    if (is_published(i) && is_dead(i) && entry.first_cell < first + cell_count &&
        first < entry.first_cell + entry.cell_count) {
      remove(i);
    }
  }
  return first;
}

std::optional<std::uint32_t> Directory::find_entry() {
  for (std::uint32_t i = 0; i < used(); ++i) {
    if (!is_published(i)) return i;
  }
  if (const std::uint32_t end = used(); end < memory_.geometry.entries) {
    memory_.header->entries_used.store(end + 1, kRelaxed);
    return end;
  }
  for (std::uint32_t i = 0; i < used(); ++i) {
    if (!is_dead(i)) continue;
    remove(i);
    return i;
  }
  return std::nullopt;
}

void Directory::write(const Place& place, const MetricDescription& description, std::uint32_t hash,
                      std::uint32_t slot) {
  DirectoryEntry& entry = memory_.entries[place.entry];
  DirectoryText& text = memory_.texts[place.entry];
  store_text(text.name, description.name);
  store_text(text.labels, description.labels);
  store_text(text.help, description.help);
  entry.hash = hash;
  entry.kind_and_unit = pack(description.kind, description.unit);
  entry.first_cell = place.first_cell;
  entry.cell_count = cells_of(description.kind);
  entry.users.store(user_bit(slot), kRelaxed);
  entry.state.store(static_cast<std::uint32_t>(EntryState::Published), std::memory_order_release);
}

}  // namespace baton::region
