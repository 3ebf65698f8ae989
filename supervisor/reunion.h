// A supervisor that finds the state of one that was killed waits for the generations in it: those
// that still run come back to the control socket, prove who they are, and bring what a state cannot
// hold. Nothing serves less well meanwhile: they go on by themselves.
//
// A generation is who it says if it is the process that the state names (pid and start), at the
// other end of the connection, and knows the token it was given over its own channel.
//
// One that serves and has not come back in time, or cannot, is killed, if it is that process: a
// fresh one could not have its addresses otherwise. One that drains is left alone.
//
// Thread: main, before the supervisor's own loop runs. Borrows: the state, which it completes. It
// answers every other command that it is busy.
// Source: docs/protocol.md, "Coming back".
#pragma once

#include <ev++.h>

#include <chrono>
#include <map>
#include <memory>
#include <string>

#include "supervisor/control_server.h"
#include "supervisor/state.h"

namespace baton::supervisor {

class Reunion final : public ControlHandler {
 public:
  // The control socket is claimed. Descriptors of the state that are there already stay.
  explicit Reunion(SupervisorState& state);
  ~Reunion() override;

  // Returns when nobody is to be waited for any more. In the state then: a channel for each
  // generation that came back; kNoFd for the pidfd of each that has ended. Escrow entries and pairs
  // without their descriptors are gone, unless a pair could be opened anew.
  void run();

  static constexpr std::chrono::milliseconds kPatience{5000};
  // What a process that was killed has to end.
  static constexpr std::chrono::milliseconds kEndTime{2000};

 private:
  class Missed;

  void find_processes();
  void on_ended(std::uint64_t generation);
  void on_patience_over();
  void kill(GenerationRecord& record);
  void settle();
  void accept(GenerationRecord& record, const proto::ComeBack& request, proto::Fds fds);
  void take(GenerationRecord& record, proto::FdRole role, os::UniqueFd fd);
  void complete_pairs();
  void open_again(Pair& pair);

  void reload(const proto::ReloadRequest&, const proto::Responder& client) override {
    refuse(client);
  }
  void rollback(const proto::ReloadRequest&, const proto::Responder& client) override {
    refuse(client);
  }
  void retune_drain(const proto::RetuneDrainRequest&, const proto::Responder& client) override {
    refuse(client);
  }
  void status(const proto::Responder& client) override { refuse(client); }
  void stats(const proto::StatsRequest&, const proto::Responder& client) override {
    refuse(client);
  }
  void stop(const proto::StopRequest&, const proto::Responder& client) override { refuse(client); }
  void reopen_logs(const proto::Responder& client) override { refuse(client); }
  void upgrade(const proto::UpgradeRequest&, const proto::Responder& client) override {
    refuse(client);
  }
  static void refuse(const proto::Responder& client);
  void come_back(const proto::ComeBack& request, proto::Fds fds, pid_t peer,
                 const proto::Responder& generation) override;

  SupervisorState& state_;
  ev::dynamic_loop loop_;
  ControlServer server_;
  ev::timer patience_;
  std::map<std::uint64_t, std::unique_ptr<Missed>> missed_;  // they run, and are waited for
};

}  // namespace baton::supervisor
