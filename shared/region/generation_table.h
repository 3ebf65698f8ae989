// The generations that exist now, one slot each: what `status` shows, readable even when a
// generation does not answer.
//
// Thread: any; every field is an atomic. Written by the supervisor (claim, release, set_*) and, for
// its own slot, by a generation (count_*). Borrows: the region's memory.
// Slot 0 is the supervisor's own and never claimed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/region/layout.h"

namespace baton::region {

// "starting", "ready", ... as `status` prints it; "unknown" for a value no state has.
std::string_view state_name(GenerationState state);

struct GenerationInfo {
  std::uint32_t slot = 0;
  std::uint64_t id = 0;
  std::uint32_t pid = 0;
  GenerationState state = GenerationState::Starting;
  std::string version;
  std::uint64_t started_ms = 0;         // Unix time
  std::uint64_t drain_deadline_ms = 0;  // Unix time; 0: not draining
  std::uint64_t moved_in = 0;
  std::uint64_t moved_out = 0;
  std::uint64_t metrics_overflowed = 0;
};

class GenerationTable {
 public:
  explicit GenerationTable(const Memory& memory) : slots_(memory.generations) {}

  // A slot for generation `id` (above 0), in state Starting; nothing: all are taken.
  std::optional<std::uint32_t> claim(std::uint64_t id, std::uint64_t started_ms);
  // Frees it. Lanes and metrics of its process must have been let go before: Region::forget().
  void release(std::uint32_t slot);

  void set_pid(std::uint32_t slot, std::uint32_t pid);
  void set_state(std::uint32_t slot, GenerationState state);
  void set_version(std::uint32_t slot, std::string_view version);  // cut after 63 bytes
  void set_drain_deadline(std::uint32_t slot, std::uint64_t unix_ms);
  void count_moved_in(std::uint32_t slot, std::uint64_t connections);
  void count_moved_out(std::uint32_t slot, std::uint64_t connections);
  void count_overflowed(std::uint32_t slot, std::uint64_t metrics);

  // Nothing: the slot is free.
  std::optional<GenerationInfo> at(std::uint32_t slot) const;
  std::vector<GenerationInfo> all() const;

 private:
  GenerationSlot& slot_at(std::uint32_t slot) const;

  GenerationSlot* slots_;
};

}  // namespace baton::region
