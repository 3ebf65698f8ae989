// Which generation drains, for how long, and into which one: at a commit, at a rollback, at a stop.

#include <algorithm>

#include "proto/negotiation.h"
#include "proto/seqpacket.h"
#include "shared/os/log.h"
#include "shared/os/seconds.h"
#include "supervisor/supervisor.h"

namespace baton::supervisor {
namespace {

// What a generation beyond max_draining has left: time for a request to be answered, so that HTTP
// connections end at a message boundary even when reloads follow each other at once. So many may
// have it, which keeps all of them within the region's slots.
constexpr std::chrono::milliseconds kLastCall{1000};
constexpr std::size_t kMostAtLastCall = 16;

}  // namespace

using lifecycle::EventKind;

void Supervisor::commit() {
  GenerationProcess* const before = replace_in_charge();
  const Settings settings = settings_of(state_.good, state_.reload_flags);
  if (before != nullptr) {
    generations_.drain(*before, settings.drain_time, settings.drain_strategy,
                       kept_at_drain(generations_.in_charge()->record().keys));
  }
  limit_draining(settings.max_draining);
  introduce_to_draining(before);
  generations_.drop_unused_pairs();
}

// The one before has been told that the candidate is not to follow.
void Supervisor::commit_after_all() {
  if (reload_) reload_->set_rolled_back(false);
  GenerationProcess* const before = replace_in_charge();
  if (before != nullptr) drain_into_in_charge(*before);
  introduce_to_draining(before);
  generations_.drop_unused_pairs();
}

// Returns the one that was in charge, if it lives; it is to drain.
GenerationProcess* Supervisor::replace_in_charge() {
  enter_phase("commit");
  GenerationProcess* before = generations_.in_charge();
  const PairId pair_before = state_.good;
  // Off the role first: two are never in charge.
  if (before != nullptr) generations_.set_role(*before, Role::Draining);
  take_charge();
  state_.note.clear();
  state_.next_paths.reset();
  // One that has not proven itself is nothing to fall back to while there is another.
  if (before != nullptr && lasts(*before)) state_.pairs.at(pair_before).crashes = false;
  const bool unproven = pair_before != kNoPair && state_.pairs.at(pair_before).crashes;
  const bool has_other = state_.previous != kNoPair && state_.previous != state_.good;
  if (state_.good != pair_before && !(unproven && has_other)) state_.previous = pair_before;
  return before;
}

bool Supervisor::lasts(const GenerationProcess& generation) {
  const auto since = generation.record().serving_since;
  if (!since) return false;
  const double lasted = now() - *since;
  // Negative: the clock has been set back, which says nothing against it.
  return lasted < 0 || lasted >= os::seconds(lifecycle::kQuickCrash);
}

// What a generation that drains lets go of as it is. The service manager's sockets are among it
// whoever serves them: to empty one, new clients have to be kept out of it, in every process that
// has it and for good.
std::vector<SocketKey> Supervisor::kept_at_drain(std::span<const SocketKey> served) const {
  std::vector<SocketKey> kept = escrow_.activated();
  kept.insert(kept.end(), served.begin(), served.end());
  return kept;
}

void Supervisor::limit_draining(std::size_t most) {
  const std::vector<GenerationProcess*> draining = generations_.draining();
  for (std::size_t i = 0; i + most < draining.size(); ++i) {
    GenerationProcess& oldest = *draining[i];
    const auto left =
        i + most + kMostAtLastCall < draining.size() ? std::chrono::milliseconds(0) : kLastCall;
    if (oldest.record().drain_deadline.value_or(0) <= now() + os::seconds(left)) continue;
    log::warning("{} is cut: more than {} are draining", oldest.name(), most);
    oldest.record().last_call = true;
    generations_.drain(oldest, left, DrainStrategy::Immediate, {});
  }
}

// One that does not know yet who follows it: it gets to know that while it drains, and time for it.
void Supervisor::drain_into_in_charge(GenerationProcess& generation) {
  const Settings settings = settings_of(state_.good, state_.reload_flags);
  generations_.drain(generation, std::max(settings.drain_time, kLastCall), DrainStrategy::Gradual,
                     kept_at_drain(generations_.in_charge()->record().keys));
  limit_draining(settings.max_draining);
  hand_over_to_in_charge(generation);
}

// The other way round: what it has accepted goes to the one before it, which accepts again.
void Supervisor::retire_candidate() {
  GenerationProcess* candidate = generations_.candidate();
  escrow_.keep_only(generations_.in_charge()->record().keys);
  if (candidate == nullptr || !candidate->channel().open()) {
    kill_candidate();
    return feed({EventKind::CandidateRetired});
  }
  drain_into_in_charge(*candidate);
  // Its workers answer behind the order to accept no more. It may well be rolled back because it
  // hangs; then its clients are not kept for the drain time.
  candidate->confirm([this, id = candidate->record().id](const std::optional<std::string>& error) {
    GenerationProcess* const retired = generations_.with_id(id);
    if (error && retired != nullptr) {
      if (retired->channel().open()) {
        log::error("{} {} while it was rolled back, and is killed", retired->name(), *error);
        retired->kill();
      } else {
        retired->kill_without_channel(*error);  // unless it ends, which is why as a rule
      }
    }
    feed({EventKind::CandidateRetired});
  });
}

// What an earlier one could not hand over, because its successor has died or its connections were
// busy, goes to the one in charge; but not what `but` has: they know each other.
void Supervisor::introduce_to_draining(const GenerationProcess* but) {
  for (GenerationProcess* draining : generations_.draining()) {
    if (draining != but) hand_over_to_in_charge(*draining);
  }
}

void Supervisor::hand_over_to_in_charge(GenerationProcess& draining) {
  GenerationProcess* next = generations_.in_charge();
  if (!next->record().has(proto::kFeatureFollow) || !draining.record().has(proto::kFeatureFollow)) {
    return;
  }
  auto ends = proto::make_pair();
  if (!ends) return log::warning("{} drains: {}", draining.name(), ends.error().text());
  draining.introduce(next->record().id, ends->first.get(), true);
  drain_waiters_.offers(draining.record().id);
  next->follow(draining.record().id, ends->second.get());
}

void Supervisor::drain_all() {
  service_manager_.stopping();
  const std::vector<SocketKey> kept = kept_at_drain({});
  escrow_.clear();
  for (GenerationProcess* generation : generations_.all()) {
    const GenerationRecord& record = generation->record();
    if (record.role == Role::Dying) continue;
    const Settings settings = settings_of(record.pair, {});
    std::chrono::milliseconds time = stop_drain_time_.value_or(settings.drain_time);
    if (record.role == Role::Draining && record.drain_deadline) {
      const std::chrono::duration<double> left(std::max(0.0, *record.drain_deadline - now()));
      time = std::min(time, std::chrono::ceil<std::chrono::milliseconds>(left));
    }
    generations_.drain(*generation, time, drain_strategy_of(record), kept);
  }
}

// A killed process leaves its connections to the kernel, which may end them as if they were
// complete; so those that hold some are told to cut them, and have a short while to do so.
void Supervisor::cut_all() {
  service_manager_.stopping();
  const std::vector<SocketKey> kept = kept_at_drain({});
  escrow_.clear();
  for (GenerationProcess* generation : generations_.all()) {
    const GenerationRecord& record = generation->record();
    if (record.role == Role::Dying) continue;
    if (record.phase < Phase::Serving) {
      generations_.kill(*generation);
    } else {
      generation->record().last_call = true;
      generations_.drain(*generation, std::chrono::milliseconds(0), DrainStrategy::Immediate, kept);
    }
  }
}

// What the drain has begun with, if it has: flags of that reload, which are not those of now.
DrainStrategy Supervisor::drain_strategy_of(const GenerationRecord& draining) const {
  return draining.drain_strategy.value_or(settings_of(draining.pair, {}).drain_strategy);
}

}  // namespace baton::supervisor
