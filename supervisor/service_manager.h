// What the service manager (systemd) is told over the supervisor's life: when it serves, reloads
// and stops, a line of status, that its loop still turns (the watchdog), and, while a start, a
// reload or a drain goes on, that these may take longer than the unit's timeouts.
//
// A manager that cannot be told is reported once in the log, and nothing else depends on it. One
// that is busy gets the last of the words meant for it a little later.
//
// Thread: the supervisor's loop. Owns: its timer. Borrows: state and region (outlive it).
// Source: sd_notify(3), sd_watchdog_enabled(3), systemd.service(5).
#pragma once

#include <ev++.h>

#include <chrono>
#include <string>

#include "supervisor/state.h"
#include "supervisor/supervisor_region.h"

namespace baton::supervisor {

class ServiceManager {
 public:
  // Without $NOTIFY_SOCKET there is nobody, and everything here does nothing.
  ServiceManager(ev::loop_ref loop, const SupervisorState& state, const SupervisorRegion& region);

  // A generation serves: after the start, or at the end of a reload, whether it has succeeded or
  // not, since sd_notify cannot tell the difference.
  void ready();
  void reloading();
  void stopping();
  // What the status line says may have changed: it is told within kSoon, if so.
  void changed();

  // How often it is told at most what it need not know at once; with a watchdog, twice as often as
  // that one asks for.
  static constexpr std::chrono::seconds kInterval{10};
  static constexpr std::chrono::milliseconds kSoon{500};
  // A hung supervisor is noticed that much later while timeouts are being extended.
  static constexpr std::chrono::seconds kExtension{30};

 private:
  void announce(std::string words);
  void tick();
  bool flush();
  bool send(const std::string& lines);

  const SupervisorState& state_;
  const SupervisorRegion& region_;
  const bool present_;
  bool watched_ = false;
  bool failed_ = false;  // and the log has it
  std::string unsent_;   // the manager was busy
  std::string told_status_;
  std::chrono::duration<double> interval_ = kInterval;
  ev::timer timer_;
  ev::timer soon_;
};

}  // namespace baton::supervisor
