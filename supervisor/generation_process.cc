#include "supervisor/generation_process.h"

#include <signal.h>
#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "proto/seqpacket.h"
#include "shared/os/duration.h"
#include "shared/os/log.h"
#include "shared/os/seconds.h"

namespace baton::supervisor {
namespace {

constexpr int kChannelFdInChild = 3;
constexpr ssize_t kTokenBytes = 32;

std::string wording(const proto::CallError& error) {
  switch (error.code) {
    case proto::CallError::Code::DeadlineExceeded:
      return "no answer in time";
    case proto::CallError::Code::Unsupported:
      return "it does not know this request";
    case proto::CallError::Code::Malformed:
      return "malformed answer";
    case proto::CallError::Code::Closed:
    case proto::CallError::Code::Failed:
    case proto::CallError::Code::Refused:
    case proto::CallError::Code::BadRequest:
      break;
  }
  return error.text;
}

// Empty: there is no randomness, and so no way back for it.
std::string new_token() {
  std::string token(kTokenBytes, '\0');
  if (::getrandom(token.data(), token.size(), GRND_NONBLOCK) == kTokenBytes) return token;
  return "";
}

}  // namespace

os::Result<std::unique_ptr<GenerationProcess>> GenerationProcess::spawn(
    ev::loop_ref loop, SupervisorState& state, GenerationRecord& record,
    GenerationObserver& observer, const SpawnSettings& settings) {
  auto channel = proto::make_pair();
  if (!channel) return std::unexpected(channel.error());
  const Pair& pair = state.pairs.at(record.pair);
  auto child = os::spawn(
      {.binary_fd = state.fds.get(pair.binary),
       .arguments = {pair.binary_path, "--channel-fd", std::to_string(kChannelFdInChild),
                     "--log-level", settings.log_level, "--log-format", settings.log_format},
       .inherited = {{channel->second.get(), kChannelFdInChild}}});
  if (!child) return std::unexpected(child.error());
  record.pid = child->pid;
  record.pidfd = state.fds.add(std::move(child->pidfd));
  record.identity = os::process_identity(record.pid).value_or("");
  record.token = new_token();
  std::unique_ptr<GenerationProcess> process(new GenerationProcess(
      loop, state, record, observer, std::move(channel->first), settings.start_timeout));
  process->start_limit_.start(os::seconds(settings.start_timeout));
  return process;
}

std::unique_ptr<GenerationProcess> GenerationProcess::adopt(ev::loop_ref loop,
                                                            SupervisorState& state,
                                                            GenerationRecord& record,
                                                            GenerationObserver& observer,
                                                            os::UniqueFd channel) {
  const std::uint32_t requests = std::exchange(record.channel_requests, 0);
  std::unique_ptr<GenerationProcess> process(
      new GenerationProcess(loop, state, record, observer, std::move(channel), {}));
  process->channel_.go_on_after(requests);
  if (record.role == Role::Dying) {
    process->kill();
  } else if (record.role == Role::Draining) {
    process->kill_at_deadline(std::max(0.0, record.drain_deadline.value_or(0) - now()));
  }
  return process;
}

GenerationProcess::GenerationProcess(ev::loop_ref loop, SupervisorState& state,
                                     GenerationRecord& record, GenerationObserver& observer,
                                     os::UniqueFd channel, std::chrono::milliseconds start_time)
    : loop_(loop),
      state_(state),
      record_(record),
      observer_(observer),
      channel_(loop, std::move(channel), "generation " + std::to_string(record.id)),
      exit_watcher_(loop),
      start_time_(start_time),
      start_limit_(loop),
      kill_time_(loop) {
  record_.channel_fd = channel_.fd();
  register_handlers();
  exit_watcher_.set<GenerationProcess, &GenerationProcess::on_pidfd>(this);
  exit_watcher_.start(state_.fds.get(record_.pidfd), ev::READ);
  start_limit_.set<GenerationProcess, &GenerationProcess::on_start_limit>(this);
  kill_time_.set<GenerationProcess, &GenerationProcess::on_kill_time>(this);
}

void GenerationProcess::register_handlers() {
  channel_.handle<proto::Hello>(proto::WELCOME_ME, [this](const proto::Hello& hello, proto::Fds,
                                                          const proto::Responder& responder) {
    observer_.on_hello(*this, hello, responder);
  });
  channel_.handle<proto::Reached>(
      proto::REACHED, [this](const proto::Reached& reached, proto::Fds, const proto::Responder&) {
        observer_.on_reached(*this, reached.phase());
      });
  channel_.handle<proto::Ready>(
      proto::READY, [this](const proto::Ready& ready, proto::Fds, const proto::Responder&) {
        observer_.on_ready(*this, ready);
      });
  channel_.handle<proto::StartFailed>(
      proto::START_FAILED,
      [this](const proto::StartFailed& failed, proto::Fds, const proto::Responder&) {
        observer_.on_start_failed(*this, failed.reason());
      });
  channel_.on_close([this](const std::string& reason) { on_channel_closed(reason); });
}

void GenerationProcess::ask(proto::GenerationKind kind, const google::protobuf::MessageLite& body,
                            std::span<const int> fds, std::chrono::milliseconds deadline,
                            Answer answer, OnClose on_close) {
  channel_.request<proto::Done>(
      static_cast<std::uint16_t>(kind), body, fds, deadline,
      [answer = std::move(answer), on_close](
          const std::expected<proto::Done, proto::CallError>& done, const proto::Fds&) {
        const bool closed = !done && done.error().code == proto::CallError::Code::Closed;
        if (closed && on_close == OnClose::Silent) return;
        answer(done ? std::nullopt : std::optional(wording(done.error())));
      });
}

void GenerationProcess::serve(Answer answer) {
  ask(proto::SERVE, proto::Serve(), {}, kRequestDeadline, std::move(answer));
}

void GenerationProcess::pause(std::span<const SocketKey> keys, Answer answer) {
  proto::Pause message;
  for (const SocketKey& key : keys) key.to_message(*message.add_keys());
  ask(proto::PAUSE, message, {}, kRequestDeadline, std::move(answer));
}

void GenerationProcess::resume(const proto::Resume& added, std::span<const int> fds,
                               Answer answer) {
  ask(proto::RESUME, added, fds, kRequestDeadline, std::move(answer));
}

void GenerationProcess::ping(Answer answer) {
  ask(proto::PING, proto::Ping(), {}, kPingDeadline, std::move(answer));
}

void GenerationProcess::confirm(Answer answer) {
  ask(proto::PING, proto::Ping(), {}, kPingDeadline, std::move(answer), OnClose::Answered);
}

void GenerationProcess::drain(std::chrono::milliseconds time, DrainStrategy strategy,
                              std::span<const SocketKey> kept) {
  if (ended_) return;  // its end is about to be told of
  proto::Drain message;
  message.set_drain_time_ms(static_cast<std::uint64_t>(time.count()));
  message.set_strategy(strategy == DrainStrategy::Gradual ? proto::GRADUAL : proto::IMMEDIATE);
  for (const SocketKey& key : kept) key.to_message(*message.add_kept());
  using Code = proto::CallError::Code;
  channel_.request<proto::Done>(
      proto::DRAIN, message, {}, kRequestDeadline,
      [this](const std::expected<proto::Done, proto::CallError>& done, const proto::Fds&) {
        if (done || done.error().code == Code::Closed) return;
        log::warning("{} did not take the order to drain: {}", name(), wording(done.error()));
        if (done.error().code == Code::DeadlineExceeded) observer_.on_deaf(*this);
      });
  // One without its channel does not hear of it, and is being killed for that, or drains already:
  // its end may come earlier, but not later.
  const bool is_earlier =
      !kill_time_.is_active() || os::seconds(time + kDrainGrace) < kill_time_.remaining();
  if (channel_.open() || is_earlier) kill_at_deadline(os::seconds(time));
}

void GenerationProcess::kill_at_deadline(double seconds_left) {
  kill_reason_ = "its drain deadline has passed";
  kill_time_.stop();
  kill_time_.start(seconds_left + os::seconds(kDrainGrace));
}

std::optional<std::chrono::milliseconds> GenerationProcess::start_time_left() {
  if (!start_limit_.is_active()) return std::nullopt;
  const std::chrono::duration<double> left(std::max(0.0, start_limit_.remaining()));
  return std::chrono::ceil<std::chrono::milliseconds>(left);
}

void GenerationProcess::introduce(std::uint64_t generation, int fd, bool in_charge) {
  proto::Introduce message;
  message.set_generation(generation);
  message.set_in_charge(in_charge);
  const int fds[] = {fd};
  channel_.notify(proto::INTRODUCE, message, fds);
}

void GenerationProcess::follow(std::uint64_t generation, int fd) {
  proto::Follow message;
  message.set_generation(generation);
  const int fds[] = {fd};
  channel_.notify(proto::FOLLOW, message, fds);
}

void GenerationProcess::reopen_logs() { channel_.notify(proto::REOPEN, proto::Done()); }

void GenerationProcess::hurry() { channel_.notify(proto::HURRY, proto::Done()); }

void GenerationProcess::limit_start(std::chrono::milliseconds time) {
  if (start_limit_.is_active() && start_limit_.remaining() <= os::seconds(time)) return;
  start_time_ = time;
  start_limit_.stop();
  start_limit_.start(os::seconds(time));
}

void GenerationProcess::kill() { os::send_signal(state_.fds.get(record_.pidfd), SIGKILL); }

bool GenerationProcess::reap_if_ended() {
  if (ended_) return false;
  const auto status = os::reap(state_.fds.get(record_.pidfd));
  if (!status && status.error().code != ECHILD) return false;
  ended_ = status.value_or(os::ExitStatus{.known = false});
  exit_watcher_.stop();
  start_limit_.stop();
  state_.fds.close(std::exchange(record_.pidfd, kNoFd));
  // What it said before it died may still be unread: the end of the channel comes after it, at once
  // unless a process it left behind keeps the other side open.
  kill_time_.stop();
  kill_time_.start(channel_.open() ? os::seconds(kChannelGrace) : 0);
  return true;
}

void GenerationProcess::finish() {
  kill_time_.stop();
  observer_.on_exit(*this, *ended_);
}

void GenerationProcess::on_channel_closed(const std::string& reason) {
  record_.channel_fd = -1;
  if (ended_) return finish();
  if (record_.role == Role::Draining || record_.role == Role::Dying) return;
  kill_without_channel(reason);
}

void GenerationProcess::kill_without_channel(const std::string& reason) {
  kill_reason_ = "it runs without its channel to the supervisor: " + reason;
  kill_time_.stop();
  kill_time_.start(os::seconds(kChannelGrace));
}

void GenerationProcess::on_kill_time() {
  if (ended_) return finish();
  log::warning("{}: killing it, {}", name(), kill_reason_);
  kill();
}

}  // namespace baton::supervisor
