// What the log and failing tests call the values of the state machine.
#include "supervisor/lifecycle.h"

namespace baton::supervisor::lifecycle {

using enum Action;

std::string_view name(Stage stage) {
  switch (stage) {
    case Stage::Idle:
      return "idle";
    case Stage::Starting:
      return "starting";
    case Stage::Serving:
      return "serving";
    case Stage::Preparing:
      return "preparing";
    case Stage::PreparingAlone:
      return "preparing alone";
    case Stage::Switching:
      return "switching";
    case Stage::Pausing:
      return "pausing";
    case Stage::Probation:
      return "probation";
    case Stage::RollingBack:
      return "rolling back";
    case Stage::Retiring:
      return "retiring";
    case Stage::Restoring:
      return "restoring";
    case Stage::Recovering:
      return "recovering";
    case Stage::BackingOff:
      return "backing off";
    case Stage::Stopping:
      return "stopping";
    case Stage::Stopped:
      return "stopped";
  }
  return "";
}

std::string_view name(EventKind kind) {
  switch (kind) {
    case EventKind::Start:
      return "start";
    case EventKind::ReloadRequested:
      return "reload requested";
    case EventKind::RollbackRequested:
      return "rollback requested";
    case EventKind::StopRequested:
      return "stop requested";
    case EventKind::StopNowRequested:
      return "stop now requested";
    case EventKind::CandidateReady:
      return "candidate ready";
    case EventKind::CandidateServing:
      return "candidate serving";
    case EventKind::CandidateFailed:
      return "candidate failed";
    case EventKind::CandidateDied:
      return "candidate died";
    case EventKind::CandidateTimedOut:
      return "candidate timed out";
    case EventKind::ProbationPassed:
      return "probation passed";
    case EventKind::CandidateRetired:
      return "candidate retired";
    case EventKind::InChargePaused:
      return "in charge paused";
    case EventKind::InChargeResumed:
      return "in charge resumed";
    case EventKind::InChargeFailed:
      return "in charge failed";
    case EventKind::InChargeDied:
      return "in charge died";
    case EventKind::BackOffOver:
      return "back-off over";
    case EventKind::AllGone:
      return "all gone";
  }
  return "";
}

std::string_view name(Action action) {
  switch (action) {
    case SpawnCandidate:
      return "spawn candidate";
    case SpawnReplacement:
      return "spawn replacement";
    case FallBack:
      return "fall back";
    case SendServe:
      return "send serve";
    case SendPause:
      return "send pause";
    case BeginProbation:
      return "begin probation";
    case EndProbation:
      return "end probation";
    case TakeCharge:
      return "take charge";
    case CommitAfterAll:
      return "commit after all";
    case Commit:
      return "commit";
    case RetireCandidate:
      return "retire candidate";
    case KillCandidate:
      return "kill candidate";
    case HurryCandidate:
      return "hurry candidate";
    case LimitCandidate:
      return "limit candidate";
    case KillInCharge:
      return "kill in charge";
    case ReturnSockets:
      return "return sockets";
    case ReassertSockets:
      return "reassert sockets";
    case ResumeInCharge:
      return "resume in charge";
    case ReportServing:
      return "report serving";
    case ReportCommitted:
      return "report committed";
    case ReportFailed:
      return "report failed";
    case RefuseReload:
      return "refuse reload";
    case ReportStartFailed:
      return "report start failed";
    case AnnounceReady:
      return "announce ready";
    case ArmBackOff:
      return "arm back-off";
    case DisarmBackOff:
      return "disarm back-off";
    case DrainAll:
      return "drain all";
    case CutAll:
      return "cut all";
    case Exit:
      return "exit";
  }
  return "";
}

}  // namespace baton::supervisor::lifecycle
