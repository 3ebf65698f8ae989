// Clients that wait until a generation has drained, or has moved what moves: told how far it is.
// Thread: the supervisor's loop. Owns: their reports. Borrows: state and region.
#pragma once

#include <ev++.h>

#include <cstdint>
#include <map>
#include <optional>
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
  // This generation has drained since earlier, and offers what it has to the one in charge now.
  void offers(std::uint64_t generation);
  // This generation says that all it could move has had its chance.
  void moved(std::uint64_t generation);
  // Answers those that do not wait for the drain, with what has moved until now.
  void answer_the_hasty();
  // Answers those whose generation has ended: nobody will be there to wait for anything more.
  void answer_the_rest();
  // It has ended, whichever way. Before what the region knows of it is forgotten.
  void ended(const GenerationRecord& generation);

 private:
  struct Waiting {
    ReloadReport report;
    std::optional<Moves> at_end = {};  // its process has died
    bool moved = false;                // moved()
    int ticks = 0;                     // since it waits, or since that death
  };

  void tick();
  bool is_ready(Waiting& waiting, const GenerationRecord* draining) const;
  bool others_offer() const;
  // `predicate(waiting, draining)`; null: it has ended.
  template <class Predicate>
  void answer_if(Predicate predicate);
  void stop_if_idle();

  const SupervisorState& state_;
  const SupervisorRegion& region_;
  std::map<std::uint64_t, Waiting> waiting_;
  // offers(), until moved() or ended(): until when this is waited for, in the loop's time
  std::map<std::uint64_t, ev::tstamp> offering_;
  ev::timer timer_;
};

}  // namespace baton::supervisor
