#include "proxy/server/supervised.h"

#include <unistd.h>

#include <algorithm>
#include <set>

#include "proto/control.pb.h"
#include "proto/negotiation.h"
#include "proxy/config/fd_budget.h"
#include "proxy/config/load_config.h"
#include "proxy/server/socket_messages.h"
#include "shared/os/fd_limit.h"
#include "shared/os/memfd.h"
#include "shared/os/seconds.h"
#include "shared/region/region.h"

namespace baton::proxy {
namespace {

constexpr std::size_t kMaxStatsBytes = 256 * 1024 * 1024;
// The supervisor bounds the whole start by its start_timeout; these only say who is at fault.
constexpr std::chrono::milliseconds kSupervisorAnswerTime{10'000};
constexpr std::chrono::milliseconds kStatsTime{2000};
// How long one that has paused waits for a supervisor that tells it what became of the reload.
constexpr std::chrono::seconds kPausedPatience{15};
// When the supervisor is gone nobody can say otherwise: the documented default.
constexpr std::chrono::milliseconds kOrphanDrainTime{30'000};

std::string join_lines(const std::vector<ConfigError>& errors) {
  std::string lines;
  for (const ConfigError& error : errors) lines += (lines.empty() ? "" : "\n") + error.text();
  return lines;
}

}  // namespace

SupervisedGeneration::SupervisedGeneration(EventLoop& loop, const BuildInfo& build,
                                           log::Options log, os::UniqueFd channel, SendRings rings)
    : loop_(loop),
      build_(build),
      log_(std::move(log)),
      rings_(std::move(rings)),
      supervisor_(std::make_unique<proto::Channel>(loop.ref(), std::move(channel), "supervisor")),
      deadline_(loop.ref()),
      patience_(loop.ref()) {
  deadline_.set<SupervisedGeneration, &SupervisedGeneration::on_deadline>(this);
  patience_.set<SupervisedGeneration, &SupervisedGeneration::on_supervisor_gone>(this);
  accept_orders();
}

int SupervisedGeneration::run() {
  build_.reached(StartPoint::Start, generation_);
  supervisor_->request<proto::Welcome>(
      proto::WELCOME_ME, hello(), {}, kSupervisorAnswerTime,
      [this](std::expected<proto::Welcome, proto::CallError> reply, proto::Fds fds) {
        on_welcome(std::move(reply), std::move(fds));
      });
  loop_.run();
  return exit_status_;
}

proto::Hello SupervisedGeneration::hello() const {
  proto::Hello hello;
  hello.set_protocol_min(proto::kProtocolMin);
  hello.set_protocol_max(proto::kProtocolMax);
  hello.set_generation(generation_);
  hello.set_build(build_.version);
  hello.set_region_layout(build_.region_layout);
  for (const std::string& feature : build_.features) {
    const bool moving = feature == proto::kFeatureMove || feature == proto::kFeatureSessions ||
                        feature == proto::kFeatureFollow;
    if (!moving || !server_ || server_->moves_connections()) hello.add_features(feature);
  }
  if (server_) hello.set_workers(static_cast<std::uint32_t>(server_->workers()));
  hello.set_pid(static_cast<std::uint32_t>(::getpid()));
  return hello;
}

// --- starting up -----------------------------------------------------------------------------

void SupervisedGeneration::on_welcome(std::expected<proto::Welcome, proto::CallError> reply,
                                      proto::Fds fds) {
  if (!reply) return fail("the supervisor does not welcome this binary: " + reply.error().text);
  generation_ = reply->generation();
  log_.generation = generation_;
  log::init(log_);
  if (!configure(*reply, fds)) return;
  if (!reply->token().empty()) {
    homecoming_ = std::make_unique<Homecoming>(
        loop_.ref(),
        Homecoming::Door{.control_path = reply->control_path(),
                         .generation = generation_,
                         .token = reply->token()},
        [this] { return belongings(); },
        [this](os::UniqueFd channel) { on_home(std::move(channel)); });
  }

  proto::Reached reached;
  reached.set_phase(proto::NEGOTIATED);
  supervisor_->notify(proto::REACHED, reached);
  build_.reached(StartPoint::Negotiated, generation_);

  if (!predecessor_) return ask_escrow();
  // Old may have sockets of a unix path whose file was replaced before; the escrow knows which.
  std::vector<proto::SocketKey> keys;
  for (const WantedSockets& wanted : server_->wanted()) {
    if (!wanted.address.is_unix_path()) keys.push_back(wanted.key);
  }
  predecessor_->inherit(hello(), std::move(keys), [this](std::vector<Predecessor::Socket> sockets) {
    inherit(std::move(sockets));
  });
}

// The configuration and everything that follows from it; false: fail() has been called.
bool SupervisedGeneration::configure(const proto::Welcome& welcome, proto::Fds& fds) {
  std::string bytes(built_in_config());
  std::string file(kBuiltInConfigName);
  os::UniqueFd region;
  for (int i = 0; i < welcome.fds_size() && static_cast<std::size_t>(i) < fds.size(); ++i) {
    os::UniqueFd& fd = fds[static_cast<std::size_t>(i)];
    if (welcome.fds(i) == proto::FD_CONFIG) {
      auto read = os::read_sealed_memfd(fd.get(), kMaxConfigBytes);
      if (!read) return fail(welcome.config_path() + ": " + read.error().text()), false;
      bytes = std::move(*read);
      file = welcome.config_path();
      config_file_ = std::move(fd);
    } else if (welcome.fds(i) == proto::FD_REGION) {
      region = std::move(fd);
    } else if (welcome.fds(i) == proto::FD_KEPT_REGION) {
      kept_region_ = std::move(fd);
    } else if (welcome.fds(i) == proto::FD_SUCCESSION) {
      predecessor_ = std::make_unique<Predecessor>(loop_, std::move(fd), predecessor_events());
    }
  }
  auto config = load_config(bytes, file);
  if (!config) return fail(join_lines(config.error())), false;
  if (const auto shortage = fd_shortage(*config, os::raise_fd_limit())) {
    return fail(file + ": " + *shortage), false;
  }
  if (!region) {
    log::info("the supervisor's region has layout {}, this binary {}: counters travel by message",
              welcome.region_layout(), build_.region_layout);
  }
  auto stats = StatsStore::open(std::move(region), welcome.region_slot(), build_.region_layout);
  if (!stats) return fail("statistics: " + stats.error().text()), false;
  auto logs = open_access_logs(*config, **stats);
  if (!logs) return fail(file + ": " + logs.error().text()), false;
  server_ = std::make_unique<Server>(ServerOptions{.loop = &loop_,
                                                   .config = std::move(*config),
                                                   .stats = std::move(*stats),
                                                   .access_logs = std::move(*logs),
                                                   .generation = generation_,
                                                   .version = build_.version,
                                                   .move_hooks = move_hooks(),
                                                   .stats_source = stats_from_supervisor(),
                                                   .rings = std::move(rings_)});
  return true;
}

// The server exists by the time of each: old says nothing before it is asked.
Predecessor::Events SupervisedGeneration::predecessor_events() {
  return {.arriving =
              [this](proto::Fds channels, const os::UniqueFd& process) {
                if (server_) server_->welcome(std::move(channels), process);
              },
          .lending =
              [this](std::vector<SessionChannel> channels) {
                if (server_) server_->borrow_sessions(std::move(channels));
              },
          .gone =
              [this] {
                if (server_) server_->read_datagrams();
              }};
}

void SupervisedGeneration::inherit(std::vector<Predecessor::Socket> from_old) {
  for (Predecessor::Socket& socket : from_old) {
    if (const auto taken = server_->sockets().add(socket.info, std::move(socket.fd)); !taken) {
      log::warning("refused a socket of the old generation: {}", taken.error().text());
    }
  }
  ask_escrow();
}

// For what old did not pass, be it some sockets of an address only.
void SupervisedGeneration::ask_escrow() {
  proto::SocketKeys request;
  for (const WantedSockets& wanted : server_->wanted()) {
    *request.add_keys() = wanted.key;
    request.add_held(static_cast<std::uint32_t>(server_->sockets().of(wanted.key).size()));
  }
  supervisor_->request_raw(
      proto::ESCROW_GET, request, {}, kSupervisorAnswerTime,
      [this](std::expected<proto::RawReply, proto::CallError> raw) { on_escrow(std::move(raw)); });
}

void SupervisedGeneration::on_escrow(std::expected<proto::RawReply, proto::CallError> reply) {
  if (!reply) return fail("the supervisor's escrow: " + reply.error().text);
  proto::Sockets message;
  if (!message.ParseFromArray(reply->body.data(), static_cast<int>(reply->body.size()))) {
    return fail("the supervisor's escrow: malformed reply");
  }
  add_sockets(message.sockets(), reply->fds);
  std::set<pid_t> processes(message.processes().begin(), message.processes().end());
  if (!processes.empty()) processes.insert(::getpid());
  for (const proto::SocketKey& key : message.ours()) server_->sockets().note_ours(key, processes);
  for (const proto::SocketKey& key : message.unreachable()) {
    server_->sockets().note_unreachable(key);
  }
  if (reply->partial) return;
  server_->take_narrower();
  bind_rest();
}

void SupervisedGeneration::add_sockets(
    const google::protobuf::RepeatedPtrField<proto::SocketInfo>& infos, proto::Fds& fds) {
  for (int i = 0; i < infos.size() && static_cast<std::size_t>(i) < fds.size(); ++i) {
    const auto taken =
        server_->sockets().add(infos.Get(i), std::move(fds[static_cast<std::size_t>(i)]));
    if (!taken) log::warning("refused a socket from the escrow: {}", taken.error().text());
  }
}

void SupervisedGeneration::bind_rest() {
  if (const auto bound = server_->bind_missing(); !bound) return fail(bound.error().text());
  build_.reached(StartPoint::Bound, generation_);
  put_in_escrow();
}

void SupervisedGeneration::put_in_escrow() {
  const std::vector<const ListeningSocket*> sockets = server_->sockets().bound_here();
  const std::string purpose =
      "the supervisor's escrow, for " + std::to_string(sockets.size()) + " sockets more: ";
  send_in_parts<proto::Sockets>(
      sockets, [this, purpose](const proto::Sockets& part, std::span<const int> fds, bool last) {
        supervisor_->request<proto::Done>(
            proto::ESCROW_PUT, part, fds, kSupervisorAnswerTime,
            [this, last, purpose](std::expected<proto::Done, proto::CallError> reply, proto::Fds) {
              if (!reply) return fail(purpose + reply.error().text);
              if (last) become_ready();
            });
      });
}

// The supervisor reads this before it reads that the generation serves. What it does not take is
// lost with this process, and nothing else.
os::Result<void> SupervisedGeneration::put_delayed_in_escrow() {
  const auto sockets = server_->bind_delayed();
  if (!sockets) return std::unexpected(sockets.error());
  if (sockets->empty()) return {};
  send_in_parts<proto::Sockets>(
      *sockets, [this](const proto::Sockets& part, std::span<const int> fds, bool) {
        supervisor_->request<proto::Done>(
            proto::ESCROW_PUT, part, fds, kSupervisorAnswerTime,
            [](std::expected<proto::Done, proto::CallError> reply, proto::Fds) {
              if (!reply) log::warning("the supervisor's escrow: {}", reply.error().text);
            });
      });
  return {};
}

void SupervisedGeneration::become_ready() {
  if (exit_status_ != 0) return;  // an earlier part of the escrow was refused
  proto::Reached reached;
  reached.set_phase(proto::INHERITED);
  supervisor_->notify(proto::REACHED, reached);
  build_.reached(StartPoint::Inherited, generation_);

  server_->start_workers();
  if (hurried_) server_->hurry();
  server_->warm_up([this] { on_warm(); });
}

void SupervisedGeneration::on_warm() {
  if (exit_status_ != 0 || leaving_) return;
  proto::Reached reached;
  reporter_.emplace(loop_.ref(), server_->stats(), *supervisor_);
  reporter_->start();
  reached.set_phase(proto::WARMED);
  supervisor_->notify(proto::REACHED, reached);
  build_.reached(StartPoint::Warmed, generation_);

  state_ = step(state_, GenerationEvent::Warmed).state;
  proto::Ready ready;
  for (const WantedSockets& wanted : server_->wanted()) *ready.add_keys() = wanted.key;
  for (const std::string& name : server_->listener_names()) ready.add_listeners(name);
  supervisor_->notify(proto::READY, ready);
  build_.reached(StartPoint::Ready, generation_);
}

void SupervisedGeneration::fail(const std::string& reason) {
  if (exit_status_ != 0) return;
  log::error("{}", reason);
  if (server_ && state_ != GenerationState::Serving)
    server_->sockets().remove_unix_paths_bound_here();
  proto::StartFailed message;
  message.set_reason(reason);
  supervisor_->notify(proto::START_FAILED, message);
  exit_status_ = 1;
  loop_.stop();
}

// --- orders ----------------------------------------------------------------------------------

void SupervisedGeneration::accept_orders() {
  using proto::Fds;
  using proto::Responder;
  supervisor_->on_close([this](const std::string& reason) { on_supervisor_lost(reason); });
  supervisor_->handle<proto::Serve>(
      proto::SERVE,
      [this](const proto::Serve&, Fds, const Responder& answer) { order_serve(answer); });
  supervisor_->handle<proto::Pause>(
      proto::PAUSE, [this](const proto::Pause& order, Fds, const Responder& answer) {
        order_pause(order, answer);
      });
  supervisor_->handle<proto::Resume>(
      proto::RESUME, [this](const proto::Resume& order, Fds fds, const Responder& answer) {
        order_resume(order, std::move(fds), answer);
      });
  supervisor_->handle<proto::Drain>(
      proto::DRAIN, [this](const proto::Drain& order, Fds, const Responder& answer) {
        order_drain(order, answer);
      });
  supervisor_->handle<proto::Ping>(
      proto::PING,
      [this](const proto::Ping&, Fds, const Responder& answer) { order_ping(answer); });
  supervisor_->handle<proto::Introduce>(
      proto::INTRODUCE, [this](const proto::Introduce& order, Fds fds, const Responder&) {
        introduce(order, std::move(fds));
      });
  supervisor_->handle<proto::Follow>(
      proto::FOLLOW,
      [this](const proto::Follow&, Fds fds, const Responder&) { follow(std::move(fds)); });
  supervisor_->handle<proto::Done>(proto::HURRY, [this](const proto::Done&, Fds, const Responder&) {
    hurried_ = true;
    if (server_) server_->hurry();
  });
  // Access logs only: standard error is the supervisor's to reopen.
  supervisor_->handle<proto::Done>(proto::REOPEN,
                                   [this](const proto::Done&, Fds, const Responder&) {
                                     if (server_) server_->reopen_logs();
                                   });
}

GenerationAction SupervisedGeneration::advance(GenerationEvent event,
                                               const proto::Responder& answer) {
  const GenerationStep next = step(state_, event);
  if (next.action == GenerationAction::Refuse) {
    answer.fail(proto::ErrorReply::REFUSED,
                "this generation is " + std::string(state_name(state_)));
  } else if (next.state != state_) {
    log::info("{} -> {}", state_name(state_), state_name(next.state));
  }
  state_ = next.state;
  return next.action;
}

void SupervisedGeneration::order_serve(const proto::Responder& answer) {
  if (advance(GenerationEvent::Serve, answer) != GenerationAction::StartAccepting) return;
  if (const auto bound = put_delayed_in_escrow(); !bound) return fail(bound.error().text());
  if (predecessor_ && predecessor_->will_lend_sessions()) server_->hold_datagrams();
  const auto served = server_->serve([this, answer] {
    answer.reply(proto::Done());
    build_.reached(StartPoint::Serving, generation_);
  });
  if (!served) fail(served.error().text());
}

void SupervisedGeneration::order_pause(const proto::Pause& order, const proto::Responder& answer) {
  if (advance(GenerationEvent::Pause, answer) != GenerationAction::PauseAccepting) return;
  paused_keys_.assign(order.keys().begin(), order.keys().end());
  // It may have been called back from it by a supervisor that has died since.
  if (!successors_.empty()) successors_.back()->take_back();
  server_->pause(paused_keys_, [answer] { answer.reply(proto::Done()); });
  lend_sessions(paused_keys_);
}

void SupervisedGeneration::order_resume(const proto::Resume& order, proto::Fds fds,
                                        const proto::Responder& answer) {
  if (advance(GenerationEvent::Resume, answer) != GenerationAction::ResumeAccepting) return;
  for (const auto& each : successors_) each->dismiss();
  add_sockets(order.added(), fds);
  const auto served = resume([answer] { answer.reply(proto::Done()); });
  if (!served) answer.fail(proto::ErrorReply::FAILED, served.error().text());
}

os::Result<void> SupervisedGeneration::resume(std::function<void()> done) {
  server_->take_narrower();
  server_->take_sessions_back();
  lending_ = false;
  return server_->serve(std::move(done));
}

void SupervisedGeneration::order_drain(const proto::Drain& order, const proto::Responder& answer) {
  const std::chrono::milliseconds time(order.drain_time_ms());
  const DrainStrategy strategy =
      order.strategy() == proto::IMMEDIATE ? DrainStrategy::Immediate : DrainStrategy::Gradual;
  const auto reply = [answer] { answer.reply(proto::Done()); };
  switch (advance(GenerationEvent::Drain, answer)) {
    case GenerationAction::BeginDrain:
      begin_drain(time, strategy, {order.kept().begin(), order.kept().end()});
      // Not when the sockets are empty: without descriptors that takes until connections end.
      return server_->ping(reply);
    case GenerationAction::RetuneDrain:
      deadline_.stop();
      deadline_.start(os::seconds(time));
      server_->set_drain(time, strategy);
      return server_->ping(reply);
    case GenerationAction::Exit:
      reply();
      return exit();
    case GenerationAction::None:
    case GenerationAction::StartAccepting:
    case GenerationAction::PauseAccepting:
    case GenerationAction::ResumeAccepting:
    case GenerationAction::CutAndExit:
    case GenerationAction::Refuse:
      return;
  }
}

void SupervisedGeneration::order_ping(const proto::Responder& answer) {
  if (!server_ || state_ == GenerationState::Starting) return answer.reply(proto::Done());
  server_->ping([answer] { answer.reply(proto::Done()); });
}

void SupervisedGeneration::introduce(const proto::Introduce& order, proto::Fds fds) {
  if (fds.empty() || !server_) return;
  std::erase_if(successors_, [](const auto& each) { return !each->connected(); });
  const auto met = [this, in_charge = order.in_charge()] {
    if (!in_charge || state_ != GenerationState::Draining || leaving_) return;
    hand_over_connections();
    server_->when_moved([this] { report_moves(); });
  };
  successors_.push_back(
      std::make_unique<Successor>(loop_, std::move(fds.front()), hello(), server_->sockets(),
                                  Successor::Events{met, [this] { resume_if_alone(); }}));
}

// Connections only: the datagrams of its UDP sessions are this generation's already.
void SupervisedGeneration::follow(proto::Fds fds) {
  if (fds.empty() || !server_) return;
  std::erase_if(elders_, [](const auto& each) { return !each->connected(); });
  elders_.push_back(std::make_unique<Predecessor>(
      loop_, std::move(fds.front()),
      Predecessor::Events{.arriving = predecessor_events().arriving,
                          .lending = [](const std::vector<SessionChannel>&) {},
                          .gone = [] {}}));
  elders_.back()->meet(hello());
}

// --- leaving ---------------------------------------------------------------------------------

void SupervisedGeneration::begin_drain(std::chrono::milliseconds time, DrainStrategy strategy,
                                       const std::vector<proto::SocketKey>& kept) {
  log::info("draining {} connections", server_->connections());
  // From the order on: a later one may re-tune it while sockets are still being retired.
  deadline_.start(os::seconds(time));
  // First, or a worker that drains already would end between two requests what could move.
  hand_over_connections();
  server_->set_drain(time, strategy);
  server_->drain(kept, [this] {
    if (!leaving_) leave_when_empty();
  });
  // Nobody has told this generation to pause first, as a rule because there is no supervisor.
  if (!lending_) lend_sessions(kept);
  server_->commit_sessions();
  moved_ = false;
  server_->when_moved([this] {
    moved_ = true;
    report_moves();
    if (empty_) leave_when_empty();
  });
}

// Idle upstream connections may still be on their way when no client is left.
void SupervisedGeneration::leave_when_empty() {
  empty_ = false;
  server_->when_empty([this] {
    empty_ = true;
    if (!moved_) return;
    if (step(state_, GenerationEvent::Empty).action == GenerationAction::Exit) exit();
  });
}

// Who waits for it is told what has moved, so the counts go ahead.
void SupervisedGeneration::report_moves() {
  reporter_->refresh([this] {
    proto::Reached reached;
    reached.set_phase(proto::MOVED);
    supervisor_->notify(proto::REACHED, reached);
  });
}

MoveHooks SupervisedGeneration::move_hooks() const {
  return build_.move_hooks ? build_.move_hooks(generation_) : MoveHooks();
}

// The one introduced last, if it still lives; null: there is none, or nothing is to go there.
Successor* SupervisedGeneration::next_generation() {
  std::erase_if(successors_, [](const auto& each) { return !each->connected(); });
  if (successors_.empty() || !server_->moves_connections()) return nullptr;
  if (!successors_.back()->follows()) return nullptr;
  return successors_.back().get();
}

// Right behind the order to the workers to release the sockets of these keys.
void SupervisedGeneration::lend_sessions(const std::vector<proto::SocketKey>& released) {
  Successor* const next = next_generation();
  if (next == nullptr || next->borrowing_workers() == 0) return;
  lending_ = true;
  next->send_session_channels(server_->lend_sessions(released, next->borrowing_workers()));
}

// To the generation that was committed.
void SupervisedGeneration::hand_over_connections() {
  Successor* const next = next_generation();
  if (next == nullptr || !next->takes_connections()) return;
  next->send_channels(server_->depart(next->workers()));
}

void SupervisedGeneration::on_deadline(ev::timer&, int) noexcept {
  const GenerationStep next = step(state_, GenerationEvent::DeadlinePassed);
  if (next.action != GenerationAction::CutAndExit) return;
  // A move is no drain: a deadline that comes before its end cuts only what does not move.
  server_->finish_moving([this] {
    if (leaving_ || deadline_.is_active()) return;  // nothing is left, or there is time again
    log::info("the drain deadline has passed with {} connections left", server_->connections());
    server_->cut_connections([this] { exit(); });
  });
}

void SupervisedGeneration::exit() {
  if (std::exchange(leaving_, true)) return;
  state_ = GenerationState::Exited;
  deadline_.stop();
  if (!reporter_) return loop_.stop();
  reporter_->flush([this] { loop_.stop(); });
}

void SupervisedGeneration::on_supervisor_lost(const std::string& reason) {
  log::warning("the supervisor is gone ({}); this generation is {}", reason, state_name(state_));
  const bool served = state_ == GenerationState::Serving || state_ == GenerationState::Paused ||
                      state_ == GenerationState::Draining;
  resume_if_alone();
  if (!homecoming_ || !served || leaving_) return on_supervisor_gone();
  homecoming_->start();
  if (state_ == GenerationState::Paused) {
    patience_.start(os::seconds(kPausedPatience));
  }
}

// Without a supervisor that could call it back, one that has paused for a generation that has died
// does so by itself, whichever of the two has gone first.
void SupervisedGeneration::resume_if_alone() {
  const bool followed =
      std::ranges::any_of(successors_, [](const auto& each) { return each->follows(); });
  if (followed || supervisor_->open() || leaving_) return;
  const GenerationStep next = step(state_, GenerationEvent::LeftAlone);
  if (next.action != GenerationAction::ResumeAccepting) return;
  log::warning("neither the supervisor nor the next generation is there: serving again");
  state_ = next.state;
  patience_.stop();
  if (const auto served = resume([] {}); !served) log::error("{}", served.error().text());
}

// Nobody has replaced it in time, or nobody who does could be found.
void SupervisedGeneration::on_supervisor_gone() noexcept {
  const GenerationStep next = step(state_, GenerationEvent::SupervisorLost);
  state_ = next.state;
  if (next.action == GenerationAction::BeginDrain) {
    begin_drain(kOrphanDrainTime, DrainStrategy::Gradual, paused_keys_);
  } else if (next.action == GenerationAction::Exit) {
    exit_status_ = 1;
    loop_.stop();
  }
}

Homecoming::Belongings SupervisedGeneration::belongings() {
  Homecoming::Belongings mine;
  const auto add = [&mine](proto::FdRole role, int fd) {
    if (fd >= 0) mine.fds.emplace_back(role, fd);
  };
  add(proto::FD_CONFIG, config_file_.get());
  region::Region* const region = server_->stats().region();
  add(proto::FD_REGION, region == nullptr ? kept_region_.get() : region->fd());
  if (state_ == GenerationState::Draining) {
    mine.standing = proto::STANDS_DRAINING;
    const std::chrono::duration<double> left(std::max(0.0, deadline_.remaining()));
    mine.drain_left = std::chrono::ceil<std::chrono::milliseconds>(left);
    return mine;
  }
  mine.standing = state_ == GenerationState::Paused ? proto::STANDS_PAUSED : proto::STANDS_SERVING;
  mine.sockets = server_->sockets().all();
  return mine;
}

void SupervisedGeneration::on_home(os::UniqueFd channel) {
  log::info("back under a supervisor");
  patience_.stop();
  supervisor_ = std::make_unique<proto::Channel>(loop_.ref(), std::move(channel), "supervisor");
  accept_orders();
  if (reporter_) reporter_->go_on(*supervisor_);
}

AdminServer::StatsSource SupervisedGeneration::stats_from_supervisor() {
  return [this](std::function<void(std::string)> deliver) {
    proto::StatsTextRequest request;
    request.set_format(proto::STATS_PROMETHEUS);
    supervisor_->request<proto::StatsReply>(
        proto::STATS_TEXT_GET, request, {}, kStatsTime,
        [this, deliver = std::move(deliver)](
            std::expected<proto::StatsReply, proto::CallError> reply, proto::Fds fds) {
          // Without a supervisor: what this process can see by itself, which with a shared region
          // is everything but the supervisor's own figures.
          if (!reply || fds.empty()) return deliver(server_->stats().prometheus_text());
          auto text = os::read_sealed_memfd(fds.front().get(), kMaxStatsBytes);
          deliver(text ? std::move(*text) : std::string());
        });
  };
}

}  // namespace baton::proxy
