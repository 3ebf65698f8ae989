#include "supervisor/signals.h"

#include <signal.h>

#include "shared/os/log.h"

namespace baton::supervisor {

Signals::Signals(ev::loop_ref loop, Supervisor& supervisor)
    : supervisor_(supervisor),
      hup_(loop),
      term_(loop),
      int_(loop),
      usr1_(loop),
      usr2_(loop),
      child_(loop) {
  ::signal(SIGPIPE, SIG_IGN);
  hup_.set<Signals, &Signals::on_hup>(this);
  hup_.start(SIGHUP);
  term_.set<Signals, &Signals::on_stop>(this);
  term_.start(SIGTERM);
  int_.set<Signals, &Signals::on_stop>(this);
  int_.start(SIGINT);
  usr1_.set<Signals, &Signals::on_usr1>(this);
  usr1_.start(SIGUSR1);
  usr2_.set<Signals, &Signals::on_usr2>(this);
  usr2_.start(SIGUSR2);
  child_.set<Signals, &Signals::on_child>(this);
  child_.start(SIGCHLD);
}

void Signals::on_hup() {
  log::info("SIGHUP: reload");
  if (const auto refused = supervisor_.reload({}, std::nullopt, proto::WAIT_COMMIT)) {
    log::warning("the reload is refused: {}", *refused);
  }
}

void Signals::on_stop() {
  if (std::exchange(stopping_, true)) {
    log::info("a second signal: stopping at once");
    return supervisor_.stop_now(std::nullopt);
  }
  log::info("stopping");
  supervisor_.stop(std::nullopt, std::nullopt);
}

void Signals::on_usr1() {
  log::info("SIGUSR1: reopening logs");
  supervisor_.reopen_logs();
}

void Signals::on_usr2() {
  log::info("SIGUSR2: upgrade");
  if (const auto refused = supervisor_.upgrade(std::nullopt, std::nullopt)) {
    log::warning("the upgrade is refused: {}", *refused);
  }
}

}  // namespace baton::supervisor
