#include "shared/region/generation_table.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "shared/os/check.h"
#include "shared/region/slots.h"

namespace baton::region {
namespace {

constexpr std::size_t kVersionWords = std::size(decltype(GenerationSlot::version){});
constexpr std::size_t kVersionBytes = kVersionWords * sizeof(std::uint64_t);

std::string read_version(const GenerationSlot& slot) {
  std::array<std::uint64_t, kVersionWords> words;
  for (std::size_t i = 0; i < kVersionWords; ++i) words[i] = slot.version[i].load(kRelaxed);
  std::array<char, kVersionBytes> text;
  std::memcpy(text.data(), words.data(), kVersionBytes);
  return {text.data(), strnlen(text.data(), kVersionBytes)};
}

}  // namespace

std::string_view state_name(GenerationState state) {
  switch (state) {
    case GenerationState::Starting:
      return "starting";
    case GenerationState::Ready:
      return "ready";
    case GenerationState::Serving:
      return "serving";
    case GenerationState::Paused:
      return "paused";
    case GenerationState::Draining:
      return "draining";
    case GenerationState::Exited:
      return "exited";
  }
  return "unknown";
}

GenerationSlot& GenerationTable::slot_at(std::uint32_t slot) const {
  BATON_CHECK(slot < kSlots);
  return slots_[slot];
}

std::optional<std::uint32_t> GenerationTable::claim(std::uint64_t id, std::uint64_t started_ms) {
  for (std::uint32_t i = kSupervisorSlot + 1; i < kSlots; ++i) {
    GenerationSlot& slot = slots_[i];
    if (slot.id.load(kRelaxed) != 0) continue;
    slot.pid.store(0, kRelaxed);
    slot.started_ms.store(started_ms, kRelaxed);
    for (Atomic64* field :
         {&slot.drain_deadline_ms, &slot.moved_in, &slot.moved_out, &slot.metrics_overflowed}) {
      field->store(0, kRelaxed);
    }
    set_version(i, "");
    set_state(i, GenerationState::Starting);
    slot.id.store(id, std::memory_order_release);
    return i;
  }
  return std::nullopt;
}

void GenerationTable::release(std::uint32_t slot) {
  slot_at(slot).id.store(0, std::memory_order_release);
}

void GenerationTable::set_pid(std::uint32_t slot, std::uint32_t pid) {
  slot_at(slot).pid.store(pid, kRelaxed);
}

void GenerationTable::set_state(std::uint32_t slot, GenerationState state) {
  slot_at(slot).state.store(static_cast<std::uint32_t>(state), kRelaxed);
}

void GenerationTable::set_version(std::uint32_t slot, std::string_view version) {
  std::array<char, kVersionBytes> text{};
  std::memcpy(text.data(), version.data(), std::min(version.size(), kVersionBytes - 1));
  std::array<std::uint64_t, kVersionWords> words;
  std::memcpy(words.data(), text.data(), kVersionBytes);
  GenerationSlot& target = slot_at(slot);
  for (std::size_t i = 0; i < kVersionWords; ++i) target.version[i].store(words[i], kRelaxed);
}

void GenerationTable::set_drain_deadline(std::uint32_t slot, std::uint64_t unix_ms) {
  slot_at(slot).drain_deadline_ms.store(unix_ms, kRelaxed);
}

void GenerationTable::count_moved_in(std::uint32_t slot, std::uint64_t connections) {
  slot_at(slot).moved_in.fetch_add(connections, kRelaxed);
}

void GenerationTable::count_moved_out(std::uint32_t slot, std::uint64_t connections) {
  slot_at(slot).moved_out.fetch_add(connections, kRelaxed);
}

void GenerationTable::count_overflowed(std::uint32_t slot, std::uint64_t metrics) {
  slot_at(slot).metrics_overflowed.fetch_add(metrics, kRelaxed);
}

std::optional<GenerationInfo> GenerationTable::at(std::uint32_t slot) const {
  const GenerationSlot& source = slot_at(slot);
  GenerationInfo info;
  info.slot = slot;
  info.id = source.id.load(std::memory_order_acquire);
  if (info.id == 0) return std::nullopt;
  info.pid = source.pid.load(kRelaxed);
  info.state = static_cast<GenerationState>(source.state.load(kRelaxed));
  info.version = read_version(source);
  info.started_ms = source.started_ms.load(kRelaxed);
  info.drain_deadline_ms = source.drain_deadline_ms.load(kRelaxed);
  info.moved_in = source.moved_in.load(kRelaxed);
  info.moved_out = source.moved_out.load(kRelaxed);
  info.metrics_overflowed = source.metrics_overflowed.load(kRelaxed);
  return info;
}

std::vector<GenerationInfo> GenerationTable::all() const {
  std::vector<GenerationInfo> infos;
  for (std::uint32_t slot = kSupervisorSlot + 1; slot < kSlots; ++slot) {
    if (auto info = at(slot)) infos.push_back(std::move(*info));
  }
  return infos;
}

}  // namespace baton::region
