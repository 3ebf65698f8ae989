// The supervisor itself: one loop that turns what happens (messages, deaths, commands, time) into
// events of the lifecycle and carries out the actions that follow.
//
// Thread: one; everything here is bound to its loop. Owns: generations, timers, the reload under
// way. Borrows: the state and the region (outlive it).
// It never touches traffic, and nothing a generation or a client sends makes it fail.
#pragma once

#include <ev++.h>

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "supervisor/control_server.h"
#include "supervisor/drain_waiters.h"
#include "supervisor/escrow.h"
#include "supervisor/generation_set.h"
#include "supervisor/probation.h"
#include "supervisor/reload_report.h"
#include "supervisor/service_manager.h"
#include "supervisor/state.h"
#include "supervisor/upgrade.h"

namespace baton::supervisor {

// What a reload is to run.
struct ReloadPlan {
  std::optional<std::string> binary_path;  // absent: as before
  std::optional<std::string> config_path;
  bool back_to_previous = false;  // the previous pair, exactly; the paths do not count
  SettingsLayer flags;
};

// How `run` ends.
struct RunResult {
  int exit_status = 0;
  std::string reason;  // lines for the user
};

class Supervisor final : private GenerationObserver {
 public:
  Supervisor(ev::loop_ref loop, SupervisorState& state, SupervisorRegion& region);
  ~Supervisor() override;

  // Starts the first generation and runs the loop until everything has ended.
  RunResult run(const std::string& binary_path, const std::string& config_path);
  // A request of the supervisor before that still waits: WaitingClient::generation, and who asked.
  using AdoptedClient = std::pair<std::uint64_t, proto::Responder>;
  // Goes on with the generations of the state in place of a supervisor before it, whose channels
  // are theirs from here on. Starts a fresh one from the paths if none of them can go on.
  RunResult resume(const std::string& binary_path, const std::string& config_path,
                   std::vector<AdoptedClient> clients);

  // Where to learn which connections are to be kept when this program is replaced.
  void on_replace(std::function<std::vector<int>()> connections) {
    connections_ = std::move(connections);
  }
  // What is to be done before a manager learns that a generation serves.
  void before_ready(std::function<void()> keep) { keep_ = std::move(keep); }
  // ... and before a candidate is told to serve: a supervisor that is killed behind that must not
  // be followed by one that takes a generation with clients for one that was still starting.
  void before_serve(std::function<void()> write_down) { write_down_ = std::move(write_down); }
  // Replaces this program by the binary, by default what is where this one was started from. On
  // success that one answers the client. Refused: not begun, and why.
  std::optional<std::string> upgrade(const std::optional<std::string>& binary_path,
                                     std::optional<proto::Responder> client);

  // Begins a reload; the client, if any, is told how it goes. Refused: not begun, and why.
  std::optional<std::string> reload(const ReloadPlan& plan, std::optional<proto::Responder> client,
                                    proto::WaitFor wait);
  // Ends the reload under way, whose generation before goes on; `client` is answered once it does.
  // Without a reload under way: back to what ran before the last one, as a reload.
  std::optional<std::string> roll_back(const SettingsLayer& flags, proto::Responder client,
                                       proto::WaitFor wait);
  // Drains everything and ends; `client` is answered at the very end.
  void stop(std::optional<std::chrono::milliseconds> drain_time,
            std::optional<proto::Responder> client);
  void stop_now(std::optional<proto::Responder> client);
  // Only the time changes, and not that of those which are being cut. False: there are no others.
  bool retune_drains(std::chrono::milliseconds time);
  void reopen_logs();
  // Reaps whatever child has ended: generations, and orphans that were adopted.
  void reap_children();

  const SupervisorState& state() const { return state_; }
  bool is_anyone_in_charge() const { return in_charge_id() != 0; }
  std::optional<ReloadProgress> reload_in_progress() const;
  // What an operator should know; empty: nothing.
  std::string note() const;
  SupervisorRegion& region() { return region_; }

 private:
  // Events.
  void feed(lifecycle::Event event);
  void candidate_failed(lifecycle::EventKind kind, std::string reason);
  void on_hello(GenerationProcess& generation, const proto::Hello& hello,
                const proto::Responder& responder) override;
  void on_reached(GenerationProcess& generation, proto::Phase phase) override;
  void on_ready(GenerationProcess& generation, const proto::Ready& ready) override;
  void on_start_failed(GenerationProcess& generation, const std::string& reason) override;
  void on_start_timeout(GenerationProcess& generation) override;
  void on_deaf(GenerationProcess& generation) override;
  void on_exit(GenerationProcess& generation, const os::ExitStatus& status) override;
  void welcome(GenerationProcess& generation, const proto::Hello& hello,
               const std::vector<std::string>& features, const proto::Responder& responder);
  os::UniqueFd introduce_to_in_charge(const GenerationProcess& next);

  // Actions.
  void act(lifecycle::Action action);
  void spawn(PairId pair);
  void fall_back();
  void send_serve();
  void send_pause();
  void begin_probation();
  void take_charge();
  void hand_over_to_in_charge(GenerationProcess& draining);
  void introduce_to_draining(const GenerationProcess* but);
  void commit();
  void commit_after_all();
  GenerationProcess* replace_in_charge();
  static bool lasts(const GenerationProcess& generation);
  void drain_into_in_charge(GenerationProcess& generation);
  std::vector<SocketKey> kept_at_drain(std::span<const SocketKey> served) const;
  void limit_draining(std::size_t most);
  void retire_candidate();
  void kill_candidate();
  void hurry_candidate();
  void limit_candidate();
  void resume_in_charge(lifecycle::Action how);
  void return_sockets();
  void return_sockets(std::span<const std::size_t> entries, bool last);
  void report_committed();
  void report_failed();
  void answer_roll_backs(const LastReload& ended);
  void report_start_failed();
  void arm_back_off();
  void on_back_off_over() { feed({lifecycle::EventKind::BackOffOver}); }
  void drain_all();
  void announce_ready();
  void cut_all();
  void exit();

  // Replacing this program, and going on in place of one before.
  RunResult run_loop();
  bool nothing_is_queued() const;
  // `exit_status`: of the command that has asked for it.
  void end_upgrade(int exit_status, const std::string& text);
  void replace();
  std::vector<int> pack_for_exec();
  void adopt_generations();
  void go_on_with_reload();
  void note_broken_reload();
  void answer_clients(std::vector<AdoptedClient> clients);

  Settings settings_of(PairId pair, const SettingsLayer& more) const;
  DrainStrategy drain_strategy_of(const GenerationRecord& draining) const;
  std::uint64_t in_charge_id() const;
  std::string aftermath(bool rolled_back) const;
  void enter_phase(std::string_view name);

  ev::loop_ref loop_;
  SupervisorState& state_;
  SupervisorRegion& region_;
  Escrow escrow_;
  GenerationServices services_;
  GenerationSet generations_;
  DrainWaiters drain_waiters_;
  ServiceManager service_manager_;
  ev::timer back_off_;
  double next_start_ = 0;  // when that is over
  std::unique_ptr<Probation> probation_;
  std::deque<lifecycle::Event> events_;
  bool feeding_ = false;

  // The reload under way, and what its candidate runs.
  std::optional<ReloadReport> reload_;
  PairId wanted_pair_ = kNoPair;
  std::uint64_t candidate_id_ = 0;                   // the last one
  std::string failure_;                              // why that one failed
  std::vector<proto::Responder> roll_back_clients_;  // they wait for its end
  bool bad_config_ = false;                          // ... it is the configuration

  // How long the generation that was in charge last had taken to serve.
  std::chrono::milliseconds usual_start_{0};

  std::unique_ptr<Upgrade> upgrade_;  // the one under way
  std::optional<proto::Responder> upgrade_client_;
  std::function<std::vector<int>()> connections_;
  bool replace_now_ = false;  // once the loop has returned
  std::function<void()> keep_;
  std::function<void()> write_down_;

  std::optional<std::chrono::milliseconds> stop_drain_time_;
  std::vector<proto::Responder> stop_clients_;
  RunResult result_;
};

}  // namespace baton::supervisor
