// Keeps what is written down of the state as it is: in the runtime directory and, under a service
// manager, in memory that this keeps (as it does descriptors), at every change, before the loop
// waits again. A supervisor that is killed at any moment leaves a whole and recent one.
//
// Thread: the supervisor's loop. Owns: its watchers. Borrows: the state (outlives it).
// What cannot be written is reported once in the log and tried again every kRetry; everything else
// goes on. Once another supervisor has the path, the file is that one's.
#pragma once

#include <ev++.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "supervisor/fd_store.h"
#include "supervisor/state.h"
#include "supervisor/state_memory.h"

namespace baton::supervisor {

class StateKeeper {
 public:
  StateKeeper(ev::loop_ref loop, SupervisorState& state);
  StateKeeper(const StateKeeper&) = delete;
  StateKeeper& operator=(const StateKeeper&) = delete;

  // Now, and not before the loop waits again; the first without the service manager's store, which
  // follows.
  void write_down();
  void keep();
  // At an orderly end: nobody is to go on from here, nor from what was set aside.
  void forget();
  // At the end of one that has failed: what it has gone on from is there for the next one, who may
  // find generations that serve still. Of descriptors it names those that are stored as they were.
  void put_back();

  static constexpr std::chrono::seconds kRetry{1};

 private:
  void on_loop_waits();
  void on_retry();
  void write(const std::string& bytes);
  os::Result<void> write_file(const std::string& bytes) const;

  SupervisorState& state_;
  const std::string path_;
  std::uint64_t tried_ = 0;  // the state's revision
  bool failed_ = false;      // and the log has it
  std::optional<StateMemory> memory_;
  FdStore store_;
  ev::prepare before_waiting_;
  ev::timer retry_;
};

}  // namespace baton::supervisor
