// One generation as the supervisor sees it: the process, watched by pidfd, and the channel to it.
// It knows how to ask for things and when to kill; what follows from an answer is its observer's.
//
// Thread: the supervisor's loop.
// Owns: the channel, watchers and timers. Borrows: loop, state, its record and the observer (all
// outlive it). The pidfd is the state's.
// Invariant: the observer's on_exit() is called exactly once, after the process was reaped; it is
// the last call; no callback comes from within a method of this class.
#pragma once

#include <ev++.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "proto/channel.h"
#include "proto/generation.pb.h"
#include "shared/os/process.h"
#include "supervisor/state.h"

namespace baton::supervisor {

class GenerationProcess;

class GenerationObserver {
 public:
  virtual ~GenerationObserver() = default;
  virtual void on_hello(GenerationProcess& generation, const proto::Hello& hello,
                        const proto::Responder& responder) = 0;
  virtual void on_reached(GenerationProcess& generation, proto::Phase phase) = 0;
  virtual void on_ready(GenerationProcess& generation, const proto::Ready& ready) = 0;
  virtual void on_start_failed(GenerationProcess& generation, const std::string& reason) = 0;
  virtual void on_start_timeout(GenerationProcess& generation) = 0;
  // It has not answered the order to drain in time.
  virtual void on_deaf(GenerationProcess& generation) = 0;
  virtual void on_exit(GenerationProcess& generation, const os::ExitStatus& status) = 0;
};

struct SpawnSettings {
  std::chrono::milliseconds start_timeout;  // until it is ready
  std::string log_level;
  std::string log_format;
};

class GenerationProcess {
 public:
  // nullopt: done; else what went wrong, for the log and the user. Not called at all when the
  // channel closes first: then the process has ended, or is killed, and on_exit() tells more.
  using Answer = std::function<void(std::optional<std::string> error)>;

  // Starts the process from the record's pair and fills in its pid, pidfd and channel.
  static os::Result<std::unique_ptr<GenerationProcess>> spawn(ev::loop_ref loop,
                                                              SupervisorState& state,
                                                              GenerationRecord& record,
                                                              GenerationObserver& observer,
                                                              const SpawnSettings& settings);
  // Goes on with one that runs already: its pidfd is in the record. Its channel may be invalid,
  // when it has come without one. One that drains is killed at its deadline, one that is dying at
  // once.
  static std::unique_ptr<GenerationProcess> adopt(ev::loop_ref loop, SupervisorState& state,
                                                  GenerationRecord& record,
                                                  GenerationObserver& observer,
                                                  os::UniqueFd channel);
  GenerationProcess(const GenerationProcess&) = delete;
  GenerationProcess& operator=(const GenerationProcess&) = delete;

  GenerationRecord& record() { return record_; }
  const GenerationRecord& record() const { return record_; }
  proto::Channel& channel() { return channel_; }
  std::string name() const { return "generation " + std::to_string(record_.id); }

  // Each is answered within kRequestDeadline (a ping: kPingDeadline), or with an error.
  void serve(Answer answer);
  void pause(std::span<const SocketKey> keys, Answer answer);
  void resume(const proto::Resume& added, std::span<const int> fds, Answer answer);
  void ping(Answer answer);
  // A ping whose answer comes, as an error, when the channel closes, too.
  void confirm(Answer answer);
  // In a moment, unless it ends by itself: nobody can tell it anything any more.
  void kill_without_channel(const std::string& reason);
  // Also arms the kill: at the deadline and a grace. Sent again, the new time counts.
  void drain(std::chrono::milliseconds time, DrainStrategy strategy,
             std::span<const SocketKey> kept);
  // To a later one; `in_charge`: what it has left of its drain may go there.
  void introduce(std::uint64_t generation, int fd, bool in_charge);
  // To an older one that drains.
  void follow(std::uint64_t generation, int fd);
  void reopen_logs();

  // SIGKILL. on_exit() follows from the loop.
  void kill();
  // Reaps the process if it has ended; on_exit() follows once the channel has given its last words.
  // False: it still runs, or was reaped before.
  bool reap_if_ended();
  // To be ready without waiting for its endpoints; also before it was welcomed.
  void hurry();
  // Less time than it was given, if more is left: on_start_timeout() comes when it is over, in
  // whatever phase it is by then.
  void limit_start(std::chrono::milliseconds time);
  void stop_start_timer() { start_limit_.stop(); }
  // What it was given to start.
  std::chrono::milliseconds start_limit() const { return start_time_; }
  // How much of it is left; nothing once the timer was stopped.
  std::optional<std::chrono::milliseconds> start_time_left();

  static constexpr std::chrono::milliseconds kRequestDeadline{5000};
  static constexpr std::chrono::milliseconds kPingDeadline{1000};
  static constexpr std::chrono::milliseconds kDrainGrace{2000};
  // How long a process may go on without its channel, and the channel without its process.
  static constexpr std::chrono::milliseconds kChannelGrace{1000};

 private:
  GenerationProcess(ev::loop_ref loop, SupervisorState& state, GenerationRecord& record,
                    GenerationObserver& observer, os::UniqueFd channel,
                    std::chrono::milliseconds start_time);
  void register_handlers();
  enum class OnClose : std::uint8_t { Silent, Answered };
  void ask(proto::GenerationKind kind, const google::protobuf::MessageLite& body,
           std::span<const int> fds, std::chrono::milliseconds deadline, Answer answer,
           OnClose on_close = OnClose::Silent);
  void on_channel_closed(const std::string& reason);
  void on_pidfd() { reap_if_ended(); }
  void finish();
  void on_start_limit() { observer_.on_start_timeout(*this); }
  void kill_at_deadline(double seconds_left);
  void on_kill_time();

  ev::loop_ref loop_;
  SupervisorState& state_;
  GenerationRecord& record_;
  GenerationObserver& observer_;
  proto::Channel channel_;
  ev::io exit_watcher_;
  std::chrono::milliseconds start_time_;
  ev::timer start_limit_;
  ev::timer kill_time_;
  std::string kill_reason_;
  std::optional<os::ExitStatus> ended_;
};

}  // namespace baton::supervisor
