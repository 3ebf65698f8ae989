// What this process knows of one endpoint of one cluster: the entry it shares with the other
// generations, and how much it does there itself right now.
//
// One object for each endpoint and process, whichever snapshots it is in; made by SharedState.
// Thread: any; all atomics. Borrows: the entry, in use until this object is gone.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

#include "shared/region/layout.h"

namespace baton::proxy {

// Times are CLOCK_MONOTONIC in nanoseconds; comparable between processes.
std::uint64_t monotonic_ns();

class EndpointState {
 public:
  using Health = region::EndpointHealth;

  EndpointState(region::EndpointSlot& slot, bool in_process)
      : slot_(slot), in_process_(in_process) {}
  EndpointState(const EndpointState&) = delete;
  EndpointState& operator=(const EndpointState&) = delete;

  // As all generations know it; apart: as this process alone does.
  Health health() const {
    const std::uint32_t own = own_health_.load(kRelaxed);
    return static_cast<Health>(own != kShared ? own : slot_.health.load(kRelaxed));
  }
  // What others say of the endpoint does not count here: they check something else, or this process
  // has found out by itself while it warms up. Announced by the caller, as what is changed in
  // slot().
  bool apart() const { return own_health_.load(kRelaxed) != kShared; }
  void set_apart(Health own) { own_health_.store(static_cast<std::uint32_t>(own), kRelaxed); }
  void rejoin() { own_health_.store(kShared, kRelaxed); }
  // 0: it is not; a time that has passed: it was.
  std::uint64_t ejected_until_ns() const { return slot_.ejected_until_ns.load(kRelaxed); }
  bool ejected(std::uint64_t now_ns) const { return ejected_until_ns() > now_ns; }
  // Since when it may get traffic, for slow start; 0: unknown, long ago.
  std::uint64_t available_since_ns() const { return slot_.available_since_ns.load(kRelaxed); }
  // Connections and requests in progress, of this process.
  std::uint32_t active() const { return active_.load(kRelaxed); }

  // To be announced by the caller: SharedState::announce().
  region::EndpointSlot& slot() { return slot_; }
  bool in_process() const { return in_process_; }

 private:
  friend class EndpointUse;
  static constexpr auto kRelaxed = std::memory_order_relaxed;
  static constexpr std::uint32_t kShared = 0xffffffff;

  region::EndpointSlot& slot_;
  const bool in_process_;
  std::atomic<std::uint32_t> active_{0};
  std::atomic<std::uint32_t> own_health_{kShared};
};

}  // namespace baton::proxy
