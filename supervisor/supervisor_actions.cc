// What the actions of the lifecycle mean. supervisor.cc has what leads to them,
// supervisor_draining.cc those by which a generation drains.

#include <algorithm>
#include <iterator>

#include "proto/negotiation.h"
#include "shared/os/duration.h"
#include "shared/os/format.h"
#include "shared/os/log.h"
#include "shared/os/seconds.h"
#include "supervisor/command_line.h"
#include "supervisor/supervisor.h"

namespace baton::supervisor {
namespace {

// Far below the limits of descriptors and of bytes in a message.
constexpr std::size_t kSocketsPerResume = 32;
// What a candidate has left when the one in charge dies, or several times what that one needed: one
// that hangs delays a fresh one no longer than that. The fresh one has its whole start_timeout:
// what would follow is another of the same.
constexpr std::chrono::milliseconds kHurry{2000};
constexpr int kHurryFactor = 3;

}  // namespace

using lifecycle::Action;
using lifecycle::EventKind;

void Supervisor::act(Action action) {
  switch (action) {
    case Action::SpawnCandidate:
      return spawn(wanted_pair_);
    case Action::SpawnReplacement:
      return spawn(state_.good);
    case Action::FallBack:
      return fall_back();
    case Action::SendServe:
      return send_serve();
    case Action::SendPause:
      return send_pause();
    case Action::BeginProbation:
      return begin_probation();
    case Action::EndProbation:
      return probation_.reset();
    case Action::TakeCharge:
      take_charge();
      return introduce_to_draining(nullptr);
    case Action::Commit:
      return commit();
    case Action::CommitAfterAll:
      return commit_after_all();
    case Action::RetireCandidate:
      return retire_candidate();
    case Action::KillCandidate:
      return kill_candidate();
    case Action::HurryCandidate:
      return hurry_candidate();
    case Action::LimitCandidate:
      return limit_candidate();
    case Action::KillInCharge:
      return generations_.in_charge()->kill();
    case Action::ReturnSockets:
      return return_sockets();
    case Action::ReassertSockets:
    case Action::ResumeInCharge:
      return resume_in_charge(action);
    case Action::ReportServing:
      return reload_->serving();
    case Action::ReportCommitted:
      return report_committed();
    case Action::ReportFailed:
      return report_failed();
    case Action::RefuseReload:
      return;  // reload() has answered before it asked
    case Action::ReportStartFailed:
      return report_start_failed();
    case Action::AnnounceReady:
      return announce_ready();
    case Action::ArmBackOff:
      return arm_back_off();
    case Action::DisarmBackOff:
      return back_off_.stop();
    case Action::DrainAll:
      return drain_all();
    case Action::CutAll:
      return cut_all();
    case Action::Exit:
      return exit();
  }
}

void Supervisor::spawn(PairId pair) {
  bad_config_ = false;
  failure_.clear();
  const Settings settings = settings_of(pair, reload_ ? state_.reload_flags : SettingsLayer{});
  candidate_id_ = state_.next_generation;
  const auto spawned =
      generations_.spawn(pair, {settings.start_timeout, state_.log.level, state_.log.format});
  if (!spawned) return candidate_failed(EventKind::CandidateFailed, spawned.error().text());
  if (reload_) reload_->set_to(candidate_id_);
  log::info("{} is process {}: {}", (*spawned)->name(), (*spawned)->record().pid,
            state_.pairs.at(pair).files());
}

void Supervisor::fall_back() {
  std::swap(state_.good, state_.previous);
  state_.note = os::format("after {} crashes in a row of {}, fallen back to what ran as {}",
                           state_.life.quick_crashes, state_.pairs.at(state_.previous).text(),
                           state_.pairs.at(state_.good).text());
  log::error("{}", state_.note);
}

void Supervisor::send_serve() {
  enter_phase("serve");
  if (write_down_) write_down_();
  GenerationProcess* candidate = generations_.candidate();
  candidate->serve([this, candidate](const std::optional<std::string>& error) {
    GenerationRecord& record = candidate->record();
    if (record.role != Role::Candidate) return;
    if (error) {
      return candidate_failed(
          EventKind::CandidateFailed,
          os::format("{} did not begin to serve: {}", candidate->name(), *error));
    }
    record.serving_since = now();
    candidate->stop_start_timer();
    generations_.set_phase(*candidate, Phase::Serving);
    feed({EventKind::CandidateServing});
  });
}

void Supervisor::send_pause() {
  GenerationProcess* in_charge = generations_.in_charge();
  // In the same turn as the candidate's Serving: `status` never shows two that serve, or none.
  generations_.set_phase(*in_charge, Phase::Paused);
  in_charge->pause(
      generations_.candidate()->record().keys,
      [this, in_charge, next = candidate_id_](const std::optional<std::string>& error) {
        if (in_charge->record().role != Role::InCharge) return;
        // It is not waited for any more: what comes now is neither an answer to a RESUME nor to the
        // PAUSE of a later reload.
        if (state_.life.stage != lifecycle::Stage::Pausing || next != candidate_id_) return;
        if (error) {
          failure_ = os::format("{} did not pause: {}", in_charge->name(), *error);
          log::error("{}", failure_);
          return feed({EventKind::InChargeFailed});
        }
        feed({EventKind::InChargePaused});
      });
}

void Supervisor::begin_probation() {
  enter_phase("probation");
  GenerationProcess* candidate = generations_.candidate();
  const Settings settings = settings_of(candidate->record().pair, state_.reload_flags);
  probation_ = std::make_unique<Probation>(
      loop_, *candidate, settings.probation,
      [this, name = candidate->name()](const std::optional<std::string>& error) {
        if (!error) return feed({EventKind::ProbationPassed});
        candidate_failed(EventKind::CandidateTimedOut, name + " " + *error + " in probation");
      });
}

// The candidate is the one in charge from here on. What its configuration does not name is closed.
void Supervisor::take_charge() {
  GenerationProcess* candidate = generations_.candidate();
  state_.good = candidate->record().pair;
  Pair& pair = state_.pairs.at(state_.good);
  pair.generation = candidate->record().id;
  pair.version = candidate->record().version;
  generations_.set_role(*candidate, Role::InCharge);
  escrow_.keep_only(candidate->record().keys);
  escrow_.drop_replaced();
  generations_.forget_orphans();
  log::info("{} ({}) is in charge", candidate->name(), candidate->record().version);
}

void Supervisor::kill_candidate() {
  if (GenerationProcess* candidate = generations_.candidate()) generations_.kill(*candidate);
}

void Supervisor::hurry_candidate() {
  if (GenerationProcess* candidate = generations_.candidate()) candidate->hurry();
}

void Supervisor::limit_candidate() {
  if (GenerationProcess* candidate = generations_.candidate()) {
    candidate->limit_start(std::max(kHurry, kHurryFactor * usual_start_));
  }
}

// Accepting comes first, so it is asked for alone: what else there is to take over may fail.
void Supervisor::resume_in_charge(Action how) {
  GenerationProcess* in_charge = generations_.in_charge();
  in_charge->resume(proto::Resume(), {},
                    [this, in_charge, how](const std::optional<std::string>& error) {
                      if (in_charge->record().role != Role::InCharge) return;
                      if (error) log::error("{} did not resume: {}", in_charge->name(), *error);
                      if (how == Action::ResumeInCharge) {
                        if (error) return feed({EventKind::InChargeFailed});
                        if (reload_) reload_->set_rolled_back(true);
                        generations_.set_phase(*in_charge, Phase::Serving);
                      }
                      return_sockets();
                    });
}

// The one in charge goes on alone, and owns what the failed candidate has added to its addresses:
// connections may wait there, also at those that only its wildcard listeners cover. What it has no
// listener for, or cannot take, is closed, so that nobody hangs.
void Supervisor::return_sockets() {
  GenerationProcess* in_charge = generations_.in_charge();
  std::vector<SocketKey>& keys = in_charge->record().keys;
  if (in_charge->record().has(proto::kFeatureNarrower)) {
    std::ranges::move(escrow_.narrower_than(keys), std::back_inserter(keys));
  }
  // In RollingBack the candidate may have to go on after all, with what only it has.
  if (state_.life.stage != lifecycle::Stage::RollingBack) escrow_.keep_only(keys);
  // After a takeover the last one that was started may be the one in charge itself.
  const Escrow::Entries added = candidate_id_ == in_charge->record().id
                                    ? Escrow::Entries()
                                    : escrow_.added_by(candidate_id_, keys);
  if (added.empty()) return feed({EventKind::InChargeResumed});
  for (std::size_t next = 0; next < added.size(); next += kSocketsPerResume) {
    const std::size_t count = std::min(added.size() - next, kSocketsPerResume);
    return_sockets(std::span(added).subspan(next, count), next + count == added.size());
  }
}

void Supervisor::return_sockets(std::span<const std::size_t> entries, bool last) {
  GenerationProcess* in_charge = generations_.in_charge();
  proto::Resume message;
  std::vector<int> fds;
  std::vector<std::pair<SocketKey, std::uint32_t>> names;  // entries may move until the answer
  for (const std::size_t position : entries) {
    const EscrowEntry& entry = escrow_.entry(position);
    proto::SocketInfo& info = *message.add_added();
    entry.key.to_message(*info.mutable_key());
    info.set_index(entry.index);
    fds.push_back(escrow_.fd(position));
    names.emplace_back(entry.key, entry.index);
  }
  in_charge->resume(
      message, fds, [this, in_charge, names, last](const std::optional<std::string>& error) {
        if (in_charge->record().role != Role::InCharge) return;
        if (error) {
          log::error("{} did not take over {} sockets that its successor had added: {}",
                     in_charge->name(), names.size(), *error);
        }
        for (const auto& [key, index] : names) {
          if (error) {
            escrow_.drop(key, index);
          } else {
            escrow_.hand_over(key, index, in_charge->record().id);
          }
        }
        if (last) feed({EventKind::InChargeResumed});
      });
}

void Supervisor::report_committed() {
  reload_->committed();
  state_.last_reload = reload_->record();
  region_.count_reload(SupervisorRegion::ReloadResult::Ok);
  service_manager_.ready();
  GenerationProcess* before = generations_.with_id(reload_->record().from);
  if (reload_->is_waited_for()) {
    if (before != nullptr) {
      drain_waiters_.add(before->record().id, std::move(*reload_));
    } else {
      reload_->drained();
    }
  }
  reload_.reset();
}

void Supervisor::report_failed() {
  using Result = SupervisorRegion::ReloadResult;
  if (const GenerationProcess* in_charge = generations_.in_charge()) {
    escrow_.keep_only(in_charge->record().keys);
  }
  // What a supervisor before this one has left unfinished is in last_reload already; who asks for
  // its end while the one in charge is called back waits for it here.
  if (!reload_) return answer_roll_backs(state_.last_reload.value_or(LastReload()));
  reload_->set_reason(failure_);
  reload_->failed(aftermath(reload_->record().rolled_back));
  const LastReload& record = reload_->record();
  log::error("the reload has failed{}: {}", record.rolled_back ? " and was rolled back" : "",
             record.reason);
  region_.count_reload(record.rolled_back ? Result::RolledBack : Result::Failed);
  state_.last_reload = record;
  answer_roll_backs(record);
  reload_.reset();
  generations_.drop_unused_pairs();
  // With nobody in charge, who serves next is announced.
  if (in_charge_id() != 0) service_manager_.ready();
}

void Supervisor::report_start_failed() { result_ = {bad_config_ ? 2 : 1, failure_}; }

void Supervisor::announce_ready() {
  if (keep_) keep_();
  service_manager_.ready();
}

void Supervisor::arm_back_off() {
  const std::chrono::milliseconds wait = lifecycle::back_off(state_.life.quick_crashes);
  log::warning("crash loop: the next start is in {}", os::format_duration(wait));
  back_off_.start(os::seconds(wait));
  next_start_ = now() + os::seconds(wait);
}

// One that has failed has something to put back first, if another one's state: supervise.cc.
void Supervisor::exit() {
  const bool failed = result_.exit_status != 0;
  if (!failed || state_.adopted.empty()) release_control_socket(state_.fds, state_.control);
  drain_waiters_.answer_the_rest();
  if (upgrade_) end_upgrade(kRefused, std::string(lifecycle::refusal(state_.life.stage)));
  proto::CommandReply reply;
  for (const proto::Responder& client : stop_clients_) client.reply(reply);
  loop_.break_loop(ev::ALL);
}

Settings Supervisor::settings_of(PairId pair, const SettingsLayer& more) const {
  Settings settings;
  state_.pairs.at(pair).settings.apply_to(settings);
  state_.flags.apply_to(settings);
  more.apply_to(settings);
  return settings;
}

std::uint64_t Supervisor::in_charge_id() const {
  const GenerationProcess* in_charge = generations_.in_charge();
  return in_charge == nullptr ? 0 : in_charge->record().id;
}

// Who serves after a reload that has failed.
std::string Supervisor::aftermath(bool rolled_back) const {
  if (state_.life.stage == lifecycle::Stage::Stopping ||
      state_.life.stage == lifecycle::Stage::Stopped) {
    return "the supervisor is stopping";
  }
  if (const std::uint64_t id = in_charge_id(); id != 0) {
    return os::format("generation {} {}", id, rolled_back ? "serves again" : "goes on");
  }
  return "a fresh generation is being started";
}

void Supervisor::enter_phase(std::string_view name) {
  if (reload_) reload_->enter(name);
}

}  // namespace baton::supervisor
