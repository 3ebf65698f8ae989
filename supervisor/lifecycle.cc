#include "supervisor/lifecycle.h"

#include <algorithm>
#include <initializer_list>

namespace baton::supervisor::lifecycle {
namespace {

using enum Action;

Step stay(const State& state) { return {state, {}}; }

Step to(State state, Stage stage, std::initializer_list<Action> actions) {
  state.stage = stage;
  return {state, actions};
}

Step committed(State state, std::initializer_list<Action> actions) {
  state.quick_crashes = 0;
  state.has_previous = true;
  state.fell_back = false;
  return to(state, Stage::Serving, actions);
}

enum class Next : std::uint8_t { BackedOff, AtOnce };

// A generation is needed and none is there: at once, or after the back-off of a crash loop.
Step start_again(State state, std::initializer_list<Action> first, Next when = Next::BackedOff) {
  Step next = to(state, Stage::Recovering, first);
  if (state.quick_crashes >= kCrashesToFallBack && state.has_previous && !state.fell_back) {
    next.state.fell_back = true;
    next.actions.push_back(FallBack);
  }
  if (when == Next::AtOnce || back_off(state.quick_crashes) == std::chrono::milliseconds(0)) {
    next.actions.insert(next.actions.end(), {SpawnReplacement, HurryCandidate});
  } else {
    next.state.stage = Stage::BackingOff;
    next.actions.push_back(ArmBackOff);
  }
  return next;
}

State after_crash(State state, bool soon) {
  state.quick_crashes = soon ? state.quick_crashes + 1 : 0;
  return state;
}

Step refuse(const State& state) { return {state, {RefuseReload}}; }

Step on_idle(const State& state, EventKind kind) {
  switch (kind) {
    case EventKind::Start:
      return to(state, Stage::Starting, {SpawnCandidate});
    case EventKind::ReloadRequested:
      return refuse(state);
    case EventKind::StopRequested:
    case EventKind::StopNowRequested:
      return to(state, Stage::Stopped, {Exit});
    case EventKind::RollbackRequested:
    case EventKind::CandidateReady:
    case EventKind::CandidateServing:
    case EventKind::CandidateFailed:
    case EventKind::CandidateDied:
    case EventKind::CandidateTimedOut:
    case EventKind::CandidateRetired:
    case EventKind::ProbationPassed:
    case EventKind::InChargePaused:
    case EventKind::InChargeResumed:
    case EventKind::InChargeFailed:
    case EventKind::InChargeDied:
    case EventKind::BackOffOver:
    case EventKind::AllGone:
      return stay(state);
  }
  return stay(state);
}

Step on_starting(const State& state, EventKind kind) {
  switch (kind) {
    case EventKind::ReloadRequested:
      return refuse(state);
    case EventKind::StopRequested:
      return to(state, Stage::Stopping, {KillCandidate, DrainAll});
    case EventKind::StopNowRequested:
      return to(state, Stage::Stopping, {CutAll});
    case EventKind::CandidateReady:
      return {state, {SendServe}};
    case EventKind::CandidateServing:
      return to(state, Stage::Serving, {TakeCharge, AnnounceReady});
    case EventKind::CandidateFailed:
    case EventKind::CandidateDied:
    case EventKind::CandidateTimedOut:
      return to(state, Stage::Stopping, {ReportStartFailed, CutAll});
    case EventKind::Start:
    case EventKind::RollbackRequested:
    case EventKind::CandidateRetired:
    case EventKind::ProbationPassed:
    case EventKind::InChargePaused:
    case EventKind::InChargeResumed:
    case EventKind::InChargeFailed:
    case EventKind::InChargeDied:
    case EventKind::BackOffOver:
    case EventKind::AllGone:
      return stay(state);
  }
  return stay(state);
}

Step on_serving(const State& state, Event event) {
  switch (event.kind) {
    case EventKind::ReloadRequested:
      return to(state, Stage::Preparing, {SpawnCandidate});
    case EventKind::StopRequested:
      return to(state, Stage::Stopping, {DrainAll});
    case EventKind::StopNowRequested:
      return to(state, Stage::Stopping, {CutAll});
    case EventKind::InChargeDied:
      return start_again(after_crash(state, event.soon), {});
    case EventKind::Start:
    case EventKind::RollbackRequested:
    case EventKind::CandidateReady:
    case EventKind::CandidateServing:
    case EventKind::CandidateFailed:
    case EventKind::CandidateDied:
    case EventKind::CandidateTimedOut:
    case EventKind::CandidateRetired:
    case EventKind::ProbationPassed:
    case EventKind::InChargePaused:
    case EventKind::InChargeResumed:
    case EventKind::InChargeFailed:
    case EventKind::BackOffOver:
    case EventKind::AllGone:
      return stay(state);
  }
  return stay(state);
}

Step on_preparing(const State& state, Event event) {
  switch (event.kind) {
    case EventKind::ReloadRequested:
      return refuse(state);
    case EventKind::StopRequested:
      return to(state, Stage::Stopping, {KillCandidate, ReportFailed, DrainAll});
    case EventKind::StopNowRequested:
      return to(state, Stage::Stopping, {ReportFailed, CutAll});
    case EventKind::CandidateReady:
      return to(state, Stage::Switching, {SendServe});
    case EventKind::RollbackRequested:
    case EventKind::CandidateFailed:
    case EventKind::CandidateDied:
    case EventKind::CandidateTimedOut:
      return to(state, Stage::Restoring, {KillCandidate, ReturnSockets});
    case EventKind::InChargeDied:
      return to(after_crash(state, event.soon), Stage::PreparingAlone,
                {HurryCandidate, LimitCandidate});
    case EventKind::Start:
    case EventKind::CandidateServing:
    case EventKind::CandidateRetired:
    case EventKind::ProbationPassed:
    case EventKind::InChargePaused:
    case EventKind::InChargeResumed:
    case EventKind::InChargeFailed:
    case EventKind::BackOffOver:
    case EventKind::AllGone:
      return stay(state);
  }
  return stay(state);
}

Step on_preparing_alone(const State& state, EventKind kind) {
  switch (kind) {
    case EventKind::ReloadRequested:
      return refuse(state);
    case EventKind::StopRequested:
      return to(state, Stage::Stopping, {KillCandidate, ReportFailed, DrainAll});
    case EventKind::StopNowRequested:
      return to(state, Stage::Stopping, {ReportFailed, CutAll});
    case EventKind::CandidateReady:
      return {state, {SendServe}};
    case EventKind::CandidateServing:
      return committed(state, {ReportServing, Commit, ReportCommitted});
    case EventKind::RollbackRequested:
    case EventKind::CandidateFailed:
    case EventKind::CandidateDied:
    case EventKind::CandidateTimedOut:
      // What has crashed has waited for this reload: not for a whole back-off again.
      return start_again(state, {KillCandidate, ReportFailed}, Next::AtOnce);
    case EventKind::Start:
    case EventKind::CandidateRetired:
    case EventKind::ProbationPassed:
    case EventKind::InChargePaused:
    case EventKind::InChargeResumed:
    case EventKind::InChargeFailed:
    case EventKind::InChargeDied:
    case EventKind::BackOffOver:
    case EventKind::AllGone:
      return stay(state);
  }
  return stay(state);
}

Step on_switching(const State& state, Event event) {
  switch (event.kind) {
    case EventKind::ReloadRequested:
      return refuse(state);
    case EventKind::StopRequested:
      return to(state, Stage::Stopping, {ReportFailed, DrainAll});
    case EventKind::StopNowRequested:
      return to(state, Stage::Stopping, {ReportFailed, CutAll});
    case EventKind::CandidateServing:
      return to(state, Stage::Pausing, {ReportServing, SendPause});
    case EventKind::RollbackRequested:
    case EventKind::CandidateFailed:
    case EventKind::CandidateDied:
    case EventKind::CandidateTimedOut:
      return to(state, Stage::Restoring, {KillCandidate, ReassertSockets});
    case EventKind::InChargeDied:
      return to(after_crash(state, event.soon), Stage::PreparingAlone,
                {HurryCandidate, LimitCandidate});
    case EventKind::Start:
    case EventKind::CandidateReady:
    case EventKind::CandidateRetired:
    case EventKind::ProbationPassed:
    case EventKind::InChargePaused:
    case EventKind::InChargeResumed:
    case EventKind::InChargeFailed:
    case EventKind::BackOffOver:
    case EventKind::AllGone:
      return stay(state);
  }
  return stay(state);
}

Step on_pausing(const State& state, EventKind kind) {
  switch (kind) {
    case EventKind::ReloadRequested:
      return refuse(state);
    case EventKind::StopRequested:
      return to(state, Stage::Stopping, {ReportFailed, DrainAll});
    case EventKind::StopNowRequested:
      return to(state, Stage::Stopping, {ReportFailed, CutAll});
    case EventKind::InChargePaused:
    // One that does not answer may well be what the reload is to replace: its successor serves and
    // is not killed for it. Both accept from the same queues meanwhile.
    case EventKind::InChargeFailed:
      return to(state, Stage::Probation, {BeginProbation});
    case EventKind::RollbackRequested:
      return to(state, Stage::RollingBack, {ResumeInCharge});
    case EventKind::CandidateFailed:
    case EventKind::CandidateDied:
    case EventKind::CandidateTimedOut:
      return to(state, Stage::Restoring, {KillCandidate, ResumeInCharge});
    case EventKind::InChargeDied:
      return committed(state, {Commit, ReportCommitted});
    case EventKind::Start:
    case EventKind::CandidateReady:
    case EventKind::CandidateServing:
    case EventKind::CandidateRetired:
    case EventKind::ProbationPassed:
    case EventKind::InChargeResumed:
    case EventKind::BackOffOver:
    case EventKind::AllGone:
      return stay(state);
  }
  return stay(state);
}

Step on_probation(const State& state, EventKind kind) {
  switch (kind) {
    case EventKind::ReloadRequested:
      return refuse(state);
    case EventKind::StopRequested:
      return to(state, Stage::Stopping, {EndProbation, ReportFailed, DrainAll});
    case EventKind::StopNowRequested:
      return to(state, Stage::Stopping, {EndProbation, ReportFailed, CutAll});
    case EventKind::ProbationPassed:
      return committed(state, {EndProbation, Commit, ReportCommitted});
    case EventKind::RollbackRequested:
      return to(state, Stage::RollingBack, {EndProbation, ResumeInCharge});
    case EventKind::CandidateFailed:
    case EventKind::CandidateDied:
    case EventKind::CandidateTimedOut:
      return to(state, Stage::Restoring, {EndProbation, KillCandidate, ResumeInCharge});
    case EventKind::InChargeDied:
      return committed(state, {EndProbation, Commit, ReportCommitted});
    case EventKind::Start:
    case EventKind::CandidateReady:
    case EventKind::CandidateServing:
    case EventKind::CandidateRetired:
    case EventKind::InChargePaused:
    case EventKind::InChargeResumed:
    case EventKind::InChargeFailed:
    case EventKind::BackOffOver:
    case EventKind::AllGone:
      return stay(state);
  }
  return stay(state);
}

Step on_rolling_back(const State& state, EventKind kind) {
  switch (kind) {
    case EventKind::ReloadRequested:
      return refuse(state);
    case EventKind::StopRequested:
      return to(state, Stage::Stopping, {ReportFailed, DrainAll});
    case EventKind::StopNowRequested:
      return to(state, Stage::Stopping, {ReportFailed, CutAll});
    case EventKind::InChargeResumed:
      return to(state, Stage::Retiring, {RetireCandidate});
    case EventKind::InChargeFailed:
    case EventKind::InChargeDied:
      return committed(state, {CommitAfterAll, ReportFailed});
    case EventKind::CandidateFailed:
    case EventKind::CandidateDied:
    case EventKind::CandidateTimedOut:
      return to(state, Stage::Restoring, {KillCandidate});
    case EventKind::RollbackRequested:  // that is what happens already
    case EventKind::Start:
    case EventKind::CandidateReady:
    case EventKind::CandidateServing:
    case EventKind::CandidateRetired:
    case EventKind::ProbationPassed:
    case EventKind::InChargePaused:
    case EventKind::BackOffOver:
    case EventKind::AllGone:
      return stay(state);
  }
  return stay(state);
}

Step on_retiring(const State& state, Event event) {
  switch (event.kind) {
    case EventKind::ReloadRequested:
      return refuse(state);
    case EventKind::StopRequested:
      return to(state, Stage::Stopping, {ReportFailed, DrainAll});
    case EventKind::StopNowRequested:
      return to(state, Stage::Stopping, {ReportFailed, CutAll});
    case EventKind::CandidateRetired:
      return to(state, Stage::Serving, {ReportFailed});
    case EventKind::InChargeDied:
      return start_again(after_crash(state, event.soon), {ReportFailed});
    case EventKind::RollbackRequested:  // that is what happens already
    case EventKind::Start:
    case EventKind::CandidateReady:
    case EventKind::CandidateServing:
    case EventKind::CandidateFailed:
    case EventKind::CandidateDied:
    case EventKind::CandidateTimedOut:
    case EventKind::ProbationPassed:
    case EventKind::InChargePaused:
    case EventKind::InChargeResumed:
    case EventKind::InChargeFailed:
    case EventKind::BackOffOver:
    case EventKind::AllGone:
      return stay(state);
  }
  return stay(state);
}

Step on_restoring(const State& state, Event event) {
  switch (event.kind) {
    case EventKind::ReloadRequested:
      return refuse(state);
    case EventKind::StopRequested:
      return to(state, Stage::Stopping, {ReportFailed, DrainAll});
    case EventKind::StopNowRequested:
      return to(state, Stage::Stopping, {ReportFailed, CutAll});
    case EventKind::InChargeResumed:
      return to(state, Stage::Serving, {ReportFailed});
    case EventKind::InChargeFailed:
      return {state, {KillInCharge}};
    case EventKind::InChargeDied:
      return start_again(after_crash(state, event.soon), {ReportFailed});
    case EventKind::RollbackRequested:  // that is what happens already
    case EventKind::Start:
    case EventKind::CandidateReady:
    case EventKind::CandidateServing:
    case EventKind::CandidateFailed:
    case EventKind::CandidateDied:
    case EventKind::CandidateTimedOut:
    case EventKind::CandidateRetired:
    case EventKind::ProbationPassed:
    case EventKind::InChargePaused:
    case EventKind::BackOffOver:
    case EventKind::AllGone:
      return stay(state);
  }
  return stay(state);
}

Step on_recovering(const State& state, EventKind kind) {
  switch (kind) {
    case EventKind::ReloadRequested:
      return refuse(state);
    case EventKind::StopRequested:
      return to(state, Stage::Stopping, {KillCandidate, DrainAll});
    case EventKind::StopNowRequested:
      return to(state, Stage::Stopping, {CutAll});
    case EventKind::CandidateReady:
      return {state, {SendServe}};
    case EventKind::CandidateServing:
      return to(state, Stage::Serving, {TakeCharge, AnnounceReady});
    case EventKind::CandidateFailed:
    case EventKind::CandidateDied:
    case EventKind::CandidateTimedOut:
      return start_again(after_crash(state, true), {KillCandidate});
    case EventKind::Start:
    case EventKind::RollbackRequested:
    case EventKind::CandidateRetired:
    case EventKind::ProbationPassed:
    case EventKind::InChargePaused:
    case EventKind::InChargeResumed:
    case EventKind::InChargeFailed:
    case EventKind::InChargeDied:
    case EventKind::BackOffOver:
    case EventKind::AllGone:
      return stay(state);
  }
  return stay(state);
}

Step on_backing_off(const State& state, EventKind kind) {
  switch (kind) {
    case EventKind::ReloadRequested:
      return to(state, Stage::PreparingAlone, {DisarmBackOff, SpawnCandidate, HurryCandidate});
    case EventKind::StopRequested:
      return to(state, Stage::Stopping, {DisarmBackOff, DrainAll});
    case EventKind::StopNowRequested:
      return to(state, Stage::Stopping, {DisarmBackOff, CutAll});
    case EventKind::BackOffOver:
      return to(state, Stage::Recovering, {SpawnReplacement, HurryCandidate});
    case EventKind::Start:
    case EventKind::RollbackRequested:
    case EventKind::CandidateReady:
    case EventKind::CandidateServing:
    case EventKind::CandidateFailed:
    case EventKind::CandidateDied:
    case EventKind::CandidateTimedOut:
    case EventKind::CandidateRetired:
    case EventKind::ProbationPassed:
    case EventKind::InChargePaused:
    case EventKind::InChargeResumed:
    case EventKind::InChargeFailed:
    case EventKind::InChargeDied:
    case EventKind::AllGone:
      return stay(state);
  }
  return stay(state);
}

Step on_stopping(const State& state, EventKind kind) {
  switch (kind) {
    case EventKind::ReloadRequested:
      return refuse(state);
    case EventKind::StopNowRequested:
      return {state, {CutAll}};
    case EventKind::AllGone:
      return to(state, Stage::Stopped, {Exit});
    case EventKind::StopRequested:  // whoever asked waits for the same end, or an earlier one
      return {state, {DrainAll}};
    case EventKind::Start:
    case EventKind::RollbackRequested:
    case EventKind::CandidateReady:
    case EventKind::CandidateServing:
    case EventKind::CandidateFailed:
    case EventKind::CandidateDied:
    case EventKind::CandidateTimedOut:
    case EventKind::CandidateRetired:
    case EventKind::ProbationPassed:
    case EventKind::InChargePaused:
    case EventKind::InChargeResumed:
    case EventKind::InChargeFailed:
    case EventKind::InChargeDied:
    case EventKind::BackOffOver:
      return stay(state);
  }
  return stay(state);
}

}  // namespace

Step step(const State& state, Event event) {
  switch (state.stage) {
    case Stage::Idle:
      return on_idle(state, event.kind);
    case Stage::Starting:
      return on_starting(state, event.kind);
    case Stage::Serving:
      return on_serving(state, event);
    case Stage::Preparing:
      return on_preparing(state, event);
    case Stage::PreparingAlone:
      return on_preparing_alone(state, event.kind);
    case Stage::Switching:
      return on_switching(state, event);
    case Stage::Pausing:
      return on_pausing(state, event.kind);
    case Stage::Probation:
      return on_probation(state, event.kind);
    case Stage::RollingBack:
      return on_rolling_back(state, event.kind);
    case Stage::Retiring:
      return on_retiring(state, event);
    case Stage::Restoring:
      return on_restoring(state, event);
    case Stage::Recovering:
      return on_recovering(state, event.kind);
    case Stage::BackingOff:
      return on_backing_off(state, event.kind);
    case Stage::Stopping:
      return on_stopping(state, event.kind);
    case Stage::Stopped:
      return event.kind == EventKind::ReloadRequested ? refuse(state) : stay(state);
  }
  return stay(state);
}

Step resume(const State& state, const Survivors& survivors) {
  if (survivors.in_charge) {
    if (goes_on_with_reload(state.stage, survivors)) {
      return survivors.in_charge_paused
                 ? to(state, Stage::Probation, {AnnounceReady, BeginProbation})
                 : to(state, Stage::Pausing, {AnnounceReady, SendPause});
    }
    const bool settled = (!can_roll_back(state.stage) || state.stage == Stage::Retiring) &&
                         !survivors.in_charge_paused;
    if (settled) return to(state, Stage::Serving, {AnnounceReady});
    if (state.stage == Stage::RollingBack && survivors.candidate_serves) {
      return {state, {AnnounceReady, ResumeInCharge}};
    }
    return to(state, Stage::Restoring, {AnnounceReady, KillCandidate, ResumeInCharge});
  }
  if (survivors.candidate_serves) {
    return goes_on_with_reload(state.stage, survivors)
               ? committed(state, {Commit, ReportCommitted})
               : to(state, Stage::Serving, {TakeCharge, AnnounceReady});
  }
  if (!survivors.has_good_pair) return to(state, Stage::Idle, {KillCandidate});
  // A supervisor that replaces itself between two starts of a crash loop.
  if (state.stage == Stage::BackingOff) return {state, {ArmBackOff}};
  return to(state, Stage::Recovering, {KillCandidate, SpawnReplacement, HurryCandidate});
}

bool goes_on_with_reload(Stage stage, const Survivors& survivors) {
  return survivors.candidate_serves && !rolls_back(stage) && can_roll_back(stage);
}

bool rolls_back(Stage stage) {
  return stage == Stage::RollingBack || stage == Stage::Retiring || stage == Stage::Restoring;
}

bool accepts_upgrade(Stage stage) { return stage == Stage::Serving || stage == Stage::BackingOff; }

bool accepts_reload(Stage stage) { return stage == Stage::Serving || stage == Stage::BackingOff; }

std::string_view refusal(Stage stage) {
  switch (stage) {
    case Stage::Serving:
    case Stage::BackingOff:
      return "";
    case Stage::Idle:
    case Stage::Starting:
      return "busy: the first generation is still starting";
    case Stage::Preparing:
    case Stage::PreparingAlone:
    case Stage::Switching:
    case Stage::Pausing:
    case Stage::Probation:
    case Stage::RollingBack:
    case Stage::Retiring:
    case Stage::Restoring:
      return "busy: another reload is in progress";
    case Stage::Recovering:
      return "busy: a generation is being restarted after a crash";
    case Stage::Stopping:
    case Stage::Stopped:
      return "the supervisor is stopping";
  }
  return "";
}

bool can_roll_back(Stage stage) {
  switch (stage) {
    case Stage::Preparing:
    case Stage::PreparingAlone:
    case Stage::Switching:
    case Stage::Pausing:
    case Stage::Probation:
    case Stage::RollingBack:
    case Stage::Retiring:
    case Stage::Restoring:
      return true;
    case Stage::Idle:
    case Stage::Starting:
    case Stage::Serving:
    case Stage::Recovering:
    case Stage::BackingOff:
    case Stage::Stopping:
    case Stage::Stopped:
      return false;
  }
  return false;
}

std::chrono::milliseconds back_off(std::uint32_t quick_crashes) {
  using std::chrono::milliseconds;
  if (quick_crashes < 2) return milliseconds(0);
  const std::uint32_t doublings = std::min(quick_crashes - 2, 7U);
  return std::min(milliseconds(100) * (1U << doublings), milliseconds(10'000));
}

}  // namespace baton::supervisor::lifecycle
