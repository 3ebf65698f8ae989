// What happens: commands, messages of generations, deaths. supervisor_actions.cc has what is done.
#include "supervisor/supervisor.h"

#include <boost/algorithm/string/join.hpp>
#include <sys/wait.h>

#include <algorithm>

#include "proto/negotiation.h"
#include "proto/seqpacket.h"
#include "shared/os/duration.h"
#include "shared/os/format.h"
#include "shared/os/log.h"
#include "supervisor/fd_shortage.h"
#include "supervisor/open_pair.h"
#include "supervisor/reload_moves.h"
#include "supervisor/version.h"

namespace baton::supervisor {

using lifecycle::EventKind;
using lifecycle::Stage;

namespace {

// A program that ends or hangs before it has said a word may well be another one altogether.
std::string doubt(const GenerationRecord& generation, const Pair& pair) {
  if (generation.phase != Phase::Starting) return "";
  return os::format("; is {} a Baton proxy?", pair.binary_path);
}

}  // namespace

Supervisor::Supervisor(ev::loop_ref loop, SupervisorState& state, SupervisorRegion& region)
    : loop_(loop),
      state_(state),
      region_(region),
      escrow_(state),
      services_(state, escrow_, region),
      generations_(loop, state, region, services_, *this),
      drain_waiters_(loop, state, region),
      service_manager_(loop, state, region),
      back_off_(loop) {
  back_off_.set<Supervisor, &Supervisor::on_back_off_over>(this);
}

Supervisor::~Supervisor() = default;

RunResult Supervisor::run(const std::string& binary_path, const std::string& config_path) {
  auto pair = open_pair(state_.fds, binary_path, config_path);
  if (!pair) {
    const bool config = !config_path.empty() && pair.error().object == config_path;
    return {config ? 2 : 1, pair.error().text()};
  }
  wanted_pair_ = state_.next_pair++;
  state_.pairs[wanted_pair_] = std::move(*pair);
  feed({EventKind::Start});
  return run_loop();
}

// --- commands ----------------------------------------------------------------------------------

std::optional<std::string> Supervisor::reload(const ReloadPlan& plan,
                                              std::optional<proto::Responder> client,
                                              proto::WaitFor wait) {
  if (!lifecycle::accepts_reload(state_.life.stage)) {
    return std::string(lifecycle::refusal(state_.life.stage));
  }
  service_manager_.reloading();
  reload_.emplace(std::move(client), wait, in_charge_id(), region_.move_totals());
  state_.reload_flags = plan.flags;
  failure_.clear();
  enter_phase("spawn");
  if (auto shortage = fd_shortage(kFdsOfReload)) {
    failure_ = std::move(*shortage);
    report_failed();
    return std::nullopt;
  }
  if (plan.back_to_previous) {
    if (state_.previous == kNoPair) {
      const bool lost = state_.last_reload && state_.last_reload->ok;
      failure_ =
          os::format("there is nothing to go back to: {}",
                     lost ? "what ran before was lost with the supervisor that had started it"
                          : "no reload has been committed since the supervisor was started");
      report_failed();
      return std::nullopt;
    }
    wanted_pair_ = state_.previous;
  } else {
    const Pair& running = state_.pairs.at(state_.good);
    const StartPaths usual =
        state_.next_paths.value_or(StartPaths{running.binary_path, running.config_path});
    auto pair = open_pair(state_.fds, plan.binary_path.value_or(usual.binary),
                          plan.config_path.value_or(usual.config));
    if (!pair) {
      failure_ = pair.error().text();
      report_failed();
      return std::nullopt;
    }
    wanted_pair_ = state_.next_pair++;
    state_.pairs[wanted_pair_] = std::move(*pair);
  }
  feed({EventKind::ReloadRequested});
  return std::nullopt;
}

std::optional<std::string> Supervisor::roll_back(const SettingsLayer& flags,
                                                 proto::Responder client, proto::WaitFor wait) {
  if (!lifecycle::can_roll_back(state_.life.stage)) {
    return reload({.back_to_previous = true, .flags = flags}, std::move(client), wait);
  }
  log::info("the reload under way is to be rolled back");
  // One that has failed already keeps its own reason; one that a supervisor before this one was
  // rolling back is reported already.
  if (reload_ && state_.life.stage != Stage::Restoring) {
    reload_->set_reason("rolled back by request");
  }
  roll_back_clients_.push_back(std::move(client));
  feed({EventKind::RollbackRequested});
  return std::nullopt;
}

// Whoever asked for the end of a reload: it has ended, and this is who serves.
void Supervisor::answer_roll_backs(const LastReload& ended) {
  proto::ReloadReply reply;
  const bool serving = state_.life.stage == Stage::Serving;
  reply.set_ok(serving && in_charge_id() != ended.to);
  reply.set_from(ended.to);
  reply.set_to(in_charge_id());
  if (!reply.ok()) {
    reply.set_reason(state_.life.stage == Stage::Stopping ? "the supervisor was told to stop"
                     : serving ? "the generation before the reload has died or does not answer"
                               : "the generation before the reload has died");
    reply.set_aftermath(aftermath(false));
  }
  for (const proto::Responder& client : roll_back_clients_) client.reply(reply);
  roll_back_clients_.clear();
}

void Supervisor::stop(std::optional<std::chrono::milliseconds> drain_time,
                      std::optional<proto::Responder> client) {
  if (client) stop_clients_.push_back(std::move(*client));
  if (drain_time) stop_drain_time_ = drain_time;
  feed({EventKind::StopRequested});
}

void Supervisor::stop_now(std::optional<proto::Responder> client) {
  if (client) stop_clients_.push_back(std::move(*client));
  feed({EventKind::StopNowRequested});
}

bool Supervisor::retune_drains(std::chrono::milliseconds time) {
  bool any = false;
  for (GenerationProcess* generation : generations_.draining()) {
    if (generation->record().last_call) continue;
    generations_.drain(*generation, time, drain_strategy_of(generation->record()), {});
    log::info("{} now has {} to drain", generation->name(), os::format_duration(time));
    any = true;
  }
  service_manager_.changed();
  return any;
}

void Supervisor::reopen_logs() {
  for (GenerationProcess* generation : generations_.all()) generation->reopen_logs();
}

void Supervisor::reap_children() {
  for (;;) {
    siginfo_t info{};
    if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) return;
    if (GenerationProcess* generation = generations_.with_pid(info.si_pid)) {
      if (!generation->reap_if_ended()) return;
      continue;
    }
    log::debug("reaped orphan {}", info.si_pid);
    ::waitid(P_PID, static_cast<id_t>(info.si_pid), &info, WEXITED | WNOHANG);
  }
}

// --- events ------------------------------------------------------------------------------------

// Actions may cause events at once; they wait until the step that caused them is complete.
void Supervisor::feed(lifecycle::Event event) {
  events_.push_back(event);
  if (std::exchange(feeding_, true)) return;
  while (!events_.empty()) {
    const lifecycle::Event next = events_.front();
    events_.pop_front();
    const lifecycle::Step step = lifecycle::step(state_.life, next);
    log::debug("{} + {} -> {}", lifecycle::name(state_.life.stage), lifecycle::name(next.kind),
               lifecycle::name(step.state.stage));
    state_.life = step.state;
    for (const lifecycle::Action action : step.actions) act(action);
    state_.touch();
    service_manager_.changed();
    if (events_.empty() && state_.life.stage == Stage::Stopping && generations_.empty()) {
      events_.push_back({EventKind::AllGone});
    }
  }
  feeding_ = false;
}

void Supervisor::candidate_failed(EventKind kind, std::string reason) {
  failure_ = std::move(reason);
  // A reload or the start reports it at its end; a replacement has nobody else to tell.
  if (state_.life.stage == Stage::Recovering) log::error("{}", failure_);
  feed({kind});
}

void Supervisor::on_hello(GenerationProcess& generation, const proto::Hello& hello,
                          const proto::Responder& responder) {
  GenerationRecord& record = generation.record();
  if (record.role != Role::Candidate || record.phase != Phase::Starting) {
    return responder.fail(proto::ErrorReply::BAD_REQUEST, "welcomed already");
  }
  proto::Hello self;
  self.set_protocol_min(proto::kProtocolMin);
  self.set_protocol_max(proto::kProtocolMax);
  self.add_features(std::string(proto::kFeatureListeners));
  self.add_features(std::string(proto::kFeatureStatsDelta));
  self.add_features(std::string(proto::kFeatureReturn));
  const auto agreement = proto::negotiate(self, hello);
  if (!agreement) {
    responder.fail(proto::ErrorReply::REFUSED, agreement.error());
    return candidate_failed(EventKind::CandidateFailed,
                            generation.name() + ": " + agreement.error());
  }
  record.version = hello.build();
  record.features.assign(hello.features().begin(), hello.features().end());
  record.shares_region = hello.region_layout() == SupervisorRegion::layout();
  generations_.set_phase(generation, Phase::Negotiating);
  enter_phase("negotiate");
  welcome(generation, hello, agreement->features, responder);
}

void Supervisor::welcome(GenerationProcess& generation, const proto::Hello& hello,
                         const std::vector<std::string>& features,
                         const proto::Responder& responder) {
  const GenerationRecord& record = generation.record();
  const Pair& pair = state_.pairs.at(record.pair);
  proto::Welcome welcome;
  std::vector<int> fds;
  const auto attach = [&](proto::FdRole role, int fd) {
    if (fd < 0) return;
    welcome.add_fds(role);
    fds.push_back(fd);
  };
  welcome.set_protocol(std::min(hello.protocol_max(), proto::kProtocolMax));
  for (const std::string& feature : features) welcome.add_features(feature);
  welcome.set_generation(record.id);
  welcome.set_config_path(pair.config_path);
  welcome.set_region_slot(record.region_slot);
  welcome.set_region_layout(SupervisorRegion::layout());
  const bool returns = std::ranges::find(features, proto::kFeatureReturn) != features.end();
  if (returns) {
    welcome.set_control_path(state_.control.path);
    welcome.set_token(record.token);
  }
  const os::UniqueFd succession = introduce_to_in_charge(generation);
  attach(proto::FD_CONFIG, state_.fds.get(pair.config));
  if (record.shares_region || returns) {
    attach(record.shares_region ? proto::FD_REGION : proto::FD_KEPT_REGION, region_.fd());
  }
  attach(proto::FD_SUCCESSION, succession.get());
  responder.reply(welcome, fds);
}

// The new generation's end of the channel to the one in charge; none when nobody is there.
os::UniqueFd Supervisor::introduce_to_in_charge(const GenerationProcess& next) {
  GenerationProcess* in_charge = generations_.in_charge();
  if (in_charge == nullptr || !in_charge->channel().open()) return {};
  auto ends = proto::make_pair();
  if (!ends) {
    log::warning("no succession channel, the escrow has to do: {}", ends.error().text());
    return {};
  }
  in_charge->introduce(next.record().id, ends->first.get(), false);
  return std::move(ends->second);
}

void Supervisor::on_reached(GenerationProcess& generation, proto::Phase phase) {
  if (phase == proto::MOVED) return drain_waiters_.moved(generation.record().id);
  if (generation.record().role != Role::Candidate) return;
  if (phase == proto::NEGOTIATED && generation.record().phase == Phase::Negotiating) {
    generations_.set_phase(generation, Phase::Inheriting);
    enter_phase("inherit");
  } else if (phase == proto::INHERITED && generation.record().phase == Phase::Inheriting) {
    generations_.set_phase(generation, Phase::Warming);
    enter_phase("warm");
  }
}

void Supervisor::on_ready(GenerationProcess& generation, const proto::Ready& ready) {
  GenerationRecord& record = generation.record();
  if (record.role != Role::Candidate || record.phase >= Phase::Ready) return;
  generation.stop_start_timer();
  record.keys.clear();
  for (const proto::SocketKey& key : ready.keys()) {
    record.keys.push_back(SocketKey::from_message(key));
  }
  record.listeners.assign(ready.listeners().begin(), ready.listeners().end());
  generations_.set_phase(generation, Phase::Ready);
  // A generation refuses these, too, and with them everything else that is wrong with the file; an
  // older one may not know our table.
  const std::vector<std::string>& errors = state_.pairs.at(record.pair).settings_errors;
  if (!errors.empty()) {
    bad_config_ = true;
    return candidate_failed(EventKind::CandidateFailed, boost::algorithm::join(errors, "\n"));
  }
  feed({EventKind::CandidateReady});
}

void Supervisor::on_start_failed(GenerationProcess& generation, const std::string& reason) {
  if (generation.record().role != Role::Candidate) return;
  // Its configuration is the first thing a generation judges.
  bad_config_ = generation.record().phase <= Phase::Negotiating;
  candidate_failed(EventKind::CandidateFailed,
                   reason.empty() ? generation.name() + " gave no reason" : reason);
}

void Supervisor::on_start_timeout(GenerationProcess& generation) {
  const GenerationRecord& record = generation.record();
  if (record.role != Role::Candidate) return;
  candidate_failed(EventKind::CandidateTimedOut,
                   os::format("{} hung {}: it was not ready within {}{}", generation.name(),
                              doing(record), os::format_duration(generation.start_limit()),
                              doubt(record, state_.pairs.at(record.pair))));
}

// While somebody follows it, it may wake up again; at the end its clients are not kept for the
// whole drain time by a process that does nothing.
void Supervisor::on_deaf(GenerationProcess& generation) {
  if (state_.life.stage == Stage::Stopping) generation.kill();
}

void Supervisor::on_exit(GenerationProcess& generation, const os::ExitStatus& status) {
  const GenerationRecord& record = generation.record();
  const std::uint64_t id = record.id;
  const Role role = record.role;
  const PairId record_pair = record.pair;
  const bool soon = !lasts(generation);
  const bool drained = role == Role::Draining && state_.last_reload && state_.last_reload->ok &&
                       state_.last_reload->from == id;
  if (drained && record.draining_since) {
    state_.last_reload->phases.push_back({"drain", (now() - *record.draining_since) * 1000});
    state_.last_reload->moves = moves_of(*state_.last_reload, record, true, state_, region_);
  }
  const bool killed = status.signal != 0;
  const std::string text =
      os::format("{} {}{} {}{}", generation.name(), killed ? "was " : "", status.text(),
                 doing(record), doubt(record, state_.pairs.at(record.pair)));
  const bool crashed = role == Role::InCharge;
  if (crashed && record.serving_since) {
    const std::chrono::duration<double> took(*record.serving_since - record.started);
    usual_start_ = std::chrono::ceil<std::chrono::milliseconds>(took);
  }
  drain_waiters_.ended(record);
  generations_.remove(generation, crashed ? GenerationSet::Metrics::KeepForReplacement
                                          : GenerationSet::Metrics::Forget);
  switch (role) {
    case Role::Candidate:
      candidate_failed(EventKind::CandidateDied, text);
      break;
    case Role::InCharge:
      log::error("{}", text);
      region_.count_crash();
      state_.pairs.at(record_pair).crashes = soon;
      if (state_.life.stage == Stage::Restoring) failure_ += "; and then " + text;
      feed({EventKind::InChargeDied, soon});
      break;
    case Role::Draining:
      log::info("{}", text);
      if (state_.life.stage == Stage::Retiring && id == candidate_id_) {
        feed({EventKind::CandidateRetired});
      }
      break;
    case Role::Dying:
      log::debug("{}", text);
      break;
  }
  generations_.drop_unused_pairs();
  service_manager_.changed();
  if (state_.life.stage == Stage::Stopping && generations_.empty()) feed({EventKind::AllGone});
}

}  // namespace baton::supervisor
