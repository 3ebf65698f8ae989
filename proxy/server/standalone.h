// A proxy without a supervisor: binds, serves, and drains on SIGTERM or SIGINT (a second one ends
// it at once). Thread: main. Owns: the server and the signal watchers.
#pragma once

#include <ev++.h>

#include <chrono>
#include <memory>
#include <string>

#include "proxy/config/config.h"
#include "proxy/server/build_info.h"
#include "proxy/server/server.h"
#include "proxy/worker/event_loop.h"

namespace baton::proxy {

class Standalone {
 public:
  Standalone(EventLoop& loop, const BuildInfo& build, Config config,
             std::chrono::milliseconds drain_time, SendRings rings);
  ~Standalone();

  // Returns the process's exit status; what keeps it from starting is on standard error.
  int run();

 private:
  os::Result<void> start();
  void serve();
  void on_signal(ev::sig& signal, int) noexcept;
  void on_reopen(ev::sig& signal, int events) noexcept;
  void on_deadline(ev::timer&, int) noexcept;

  EventLoop& loop_;
  const BuildInfo& build_;
  Config config_;
  std::chrono::milliseconds drain_time_;
  SendRings rings_;  // until the server has them
  std::unique_ptr<Server> server_;
  bool serving_ = false;  // its sockets listen
  bool draining_ = false;
  int exit_status_ = 0;
  ev::timer deadline_;
  ev::sig terminate_;
  ev::sig interrupt_;
  ev::sig reopen_;
};

}  // namespace baton::proxy
