// What signals mean to `run`: HUP reload, TERM and INT stop with drain (a second one: at once),
// USR1 reopen logs, USR2 upgrade, CHLD reap.
// Thread: the supervisor's loop. Owns: the watchers. Borrows: the supervisor.
#pragma once

#include <ev++.h>

#include "supervisor/supervisor.h"

namespace baton::supervisor {

class Signals {
 public:
  Signals(ev::loop_ref loop, Supervisor& supervisor);
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

 private:
  void on_hup();
  void on_stop();
  void on_usr1();
  void on_usr2();
  void on_child() { supervisor_.reap_children(); }

  Supervisor& supervisor_;
  bool stopping_ = false;
  ev::sig hup_;
  ev::sig term_;
  ev::sig int_;
  ev::sig usr1_;
  ev::sig usr2_;
  ev::sig child_;
};

}  // namespace baton::supervisor
