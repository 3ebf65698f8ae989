// All generations that run: their records in the state, their processes, their region slots.
//
// Thread: the supervisor's loop. Owns: the processes. Borrows: the rest.
// Invariant: each record has a process, and the region's table shows what the record says.
#pragma once

#include <ev++.h>

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "shared/os/error.h"
#include "supervisor/generation_process.h"
#include "supervisor/generation_services.h"
#include "supervisor/state.h"
#include "supervisor/supervisor_region.h"

namespace baton::supervisor {

class GenerationSet {
 public:
  GenerationSet(ev::loop_ref loop, SupervisorState& state, SupervisorRegion& region,
                GenerationServices& services, GenerationObserver& observer)
      : loop_(loop), state_(state), region_(region), services_(services), observer_(observer) {}

  // Starts the next generation, as candidate. On error nothing is left of it but its number.
  os::Result<GenerationProcess*> spawn(PairId pair, const SpawnSettings& settings);

  // Goes on with one that runs already and is in the state.
  void adopt(GenerationRecord& record, os::UniqueFd channel);

  GenerationProcess* in_charge() const { return of(Role::InCharge); }
  GenerationProcess* candidate() const { return of(Role::Candidate); }
  GenerationProcess* with_pid(pid_t pid) const;  // not reaped yet
  GenerationProcess* with_id(std::uint64_t id) const;
  std::vector<GenerationProcess*> draining() const;  // the oldest first
  std::vector<GenerationProcess*> all() const;
  bool empty() const { return processes_.empty(); }

  // The same in the record and in the region.
  void set_phase(GenerationProcess& generation, Phase phase);
  void set_role(GenerationProcess& generation, Role role);
  // Tells it to drain (role and phase, too); again: the new time counts.
  void drain(GenerationProcess& generation, std::chrono::milliseconds time, DrainStrategy strategy,
             std::span<const SocketKey> kept);
  void kill(GenerationProcess& generation);

  enum class Metrics : std::uint8_t { Forget, KeepForReplacement };
  // After its process was reaped; destroys `generation`.
  void remove(GenerationProcess& generation, Metrics metrics);
  // The same for one that is in the state and has ended without having been adopted.
  void bury(std::uint64_t id, Metrics metrics);
  // The replacement has taken over what crashed generations counted.
  void forget_orphans();
  // Closes binaries and configurations that nothing can go back to any more.
  void drop_unused_pairs();

 private:
  GenerationProcess* of(Role role) const;
  void forget_metrics(std::uint32_t slot);

  ev::loop_ref loop_;
  SupervisorState& state_;
  SupervisorRegion& region_;
  GenerationServices& services_;
  GenerationObserver& observer_;
  std::map<std::uint64_t, std::unique_ptr<GenerationProcess>> processes_;
};

}  // namespace baton::supervisor
