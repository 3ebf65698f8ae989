// Descriptors in the service manager's store, so that they survive this process whatever becomes of
// it: listening sockets, the region, binaries and configurations, and the memory that holds the
// state. Only changes are sent, a little later than they happen, since each costs the manager time.
//
//   baton-fd-N    the descriptor of index N in the state's table
//   baton-region  the region
//   baton-state   StateMemory
//   baton-canary  one end of a pair: a manager that does not keep it closes it, which tells us that
//                 its store is full, or that there is none
//
// Thread: the supervisor's loop. Owns: its timer, its end of the canary. Borrows: the state, where
// it notes what is stored. Source: sd_notify(3) FDSTORE, sd_pid_notify_with_fds(3),
// systemd.service(5) FileDescriptorStoreMax.
#pragma once

#include <ev++.h>

#include <chrono>
#include <map>
#include <string>

#include "shared/os/unique_fd.h"
#include "supervisor/state.h"

namespace baton::supervisor {

class FdStore {
 public:
  // Without a service manager everything here does nothing.
  FdStore(ev::loop_ref loop, SupervisorState& state);
  FdStore(const FdStore&) = delete;
  FdStore& operator=(const FdStore&) = delete;

  // The state may have changed.
  void sync_soon();
  // Not later than this, as far as the manager takes it: whoever learns next that we serve may
  // count on what is stored.
  void sync_now();
  // Before an orderly end: a unit that is restarted has the store of before, and what is in it
  // would keep addresses in use.
  void clear();

  static constexpr std::chrono::milliseconds kDelay{20};
  // When the manager was busy.
  static constexpr std::chrono::milliseconds kRetry{100};

 private:
  std::map<std::string, int> wanted() const;
  void sync();
  bool remove(const std::string& name);
  bool store(const std::string& name, int fd);
  bool send(const std::string& lines, int fd);
  bool send_canary();
  void on_canary();

  SupervisorState& state_;
  const bool present_;
  bool failed_ = false;   // and the log has it
  bool refused_ = false;  // the same
  bool canary_due_ = true;
  ev::timer timer_;
  os::UniqueFd canary_;
  ev::io canary_watcher_;
};

}  // namespace baton::supervisor
