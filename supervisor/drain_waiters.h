// Clients that wait until a generation has drained: told how far it is ten times a second.
// Thread: the supervisor's loop. Owns: their reports. Borrows: state and region.
#pragma once

#include <ev++.h>

#include <cstdint>
#include <map>
#include <vector>

#include "supervisor/reload_report.h"
#include "supervisor/state.h"
#include "supervisor/supervisor_region.h"

namespace baton::supervisor {

class DrainWaiters {
 public:
  DrainWaiters(ev::loop_ref loop, const SupervisorState& state, const SupervisorRegion& region);

  // `report` waits for the end of this generation.
  void add(std::uint64_t generation, ReloadReport report);
  // The requests that wait, to be answered by a supervisor that goes on in place of this one.
  std::vector<WaitingClient> clients() const;
  // It has ended, whichever way.
  void ended(std::uint64_t generation);

 private:
  void tick();

  const SupervisorState& state_;
  const SupervisorRegion& region_;
  std::map<std::uint64_t, ReloadReport> waiting_;
  ev::timer timer_;
};

}  // namespace baton::supervisor
