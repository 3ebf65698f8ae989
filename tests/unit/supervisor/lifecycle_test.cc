#include "supervisor/lifecycle.h"

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <utility>

namespace baton::supervisor::lifecycle {
namespace {

using enum Action;
using E = EventKind;
using S = Stage;

struct Expected {
  Stage next;
  std::vector<Action> actions;
};
using Table = std::map<std::pair<Stage, EventKind>, Expected>;

// What a quiet supervisor does: no crash so far, nothing to fall back to. Every pair that is not
// here must change nothing.
const Table kTable{
    {{S::Idle, E::Start}, {S::Starting, {SpawnCandidate}}},
    {{S::Idle, E::ReloadRequested}, {S::Idle, {RefuseReload}}},
    {{S::Idle, E::StopRequested}, {S::Stopped, {Exit}}},
    {{S::Idle, E::StopNowRequested}, {S::Stopped, {Exit}}},

    {{S::Starting, E::ReloadRequested}, {S::Starting, {RefuseReload}}},
    {{S::Starting, E::StopRequested}, {S::Stopping, {KillCandidate, DrainAll}}},
    {{S::Starting, E::StopNowRequested}, {S::Stopping, {CutAll}}},
    {{S::Starting, E::CandidateReady}, {S::Starting, {SendServe}}},
    {{S::Starting, E::CandidateServing}, {S::Serving, {TakeCharge, AnnounceReady}}},
    {{S::Starting, E::CandidateFailed}, {S::Stopping, {ReportStartFailed, CutAll}}},
    {{S::Starting, E::CandidateDied}, {S::Stopping, {ReportStartFailed, CutAll}}},
    {{S::Starting, E::CandidateTimedOut}, {S::Stopping, {ReportStartFailed, CutAll}}},

    {{S::Serving, E::ReloadRequested}, {S::Preparing, {SpawnCandidate}}},
    {{S::Serving, E::StopRequested}, {S::Stopping, {DrainAll}}},
    {{S::Serving, E::StopNowRequested}, {S::Stopping, {CutAll}}},
    {{S::Serving, E::InChargeDied}, {S::Recovering, {SpawnReplacement, HurryCandidate}}},

    {{S::Preparing, E::ReloadRequested}, {S::Preparing, {RefuseReload}}},
    {{S::Preparing, E::StopRequested}, {S::Stopping, {KillCandidate, ReportFailed, DrainAll}}},
    {{S::Preparing, E::StopNowRequested}, {S::Stopping, {ReportFailed, CutAll}}},
    {{S::Preparing, E::CandidateReady}, {S::Switching, {SendServe}}},
    {{S::Preparing, E::RollbackRequested}, {S::Restoring, {KillCandidate, ReturnSockets}}},
    {{S::Preparing, E::CandidateFailed}, {S::Restoring, {KillCandidate, ReturnSockets}}},
    {{S::Preparing, E::CandidateDied}, {S::Restoring, {KillCandidate, ReturnSockets}}},
    {{S::Preparing, E::CandidateTimedOut}, {S::Restoring, {KillCandidate, ReturnSockets}}},
    {{S::Preparing, E::InChargeDied}, {S::PreparingAlone, {HurryCandidate, LimitCandidate}}},

    {{S::PreparingAlone, E::ReloadRequested}, {S::PreparingAlone, {RefuseReload}}},
    {{S::PreparingAlone, E::StopRequested}, {S::Stopping, {KillCandidate, ReportFailed, DrainAll}}},
    {{S::PreparingAlone, E::StopNowRequested}, {S::Stopping, {ReportFailed, CutAll}}},
    {{S::PreparingAlone, E::CandidateReady}, {S::PreparingAlone, {SendServe}}},
    {{S::PreparingAlone, E::CandidateServing},
     {S::Serving, {ReportServing, Commit, ReportCommitted}}},
    {{S::PreparingAlone, E::RollbackRequested},
     {S::Recovering, {KillCandidate, ReportFailed, SpawnReplacement, HurryCandidate}}},
    {{S::PreparingAlone, E::CandidateFailed},
     {S::Recovering, {KillCandidate, ReportFailed, SpawnReplacement, HurryCandidate}}},
    {{S::PreparingAlone, E::CandidateDied},
     {S::Recovering, {KillCandidate, ReportFailed, SpawnReplacement, HurryCandidate}}},
    {{S::PreparingAlone, E::CandidateTimedOut},
     {S::Recovering, {KillCandidate, ReportFailed, SpawnReplacement, HurryCandidate}}},

    {{S::Switching, E::ReloadRequested}, {S::Switching, {RefuseReload}}},
    {{S::Switching, E::StopRequested}, {S::Stopping, {ReportFailed, DrainAll}}},
    {{S::Switching, E::StopNowRequested}, {S::Stopping, {ReportFailed, CutAll}}},
    {{S::Switching, E::CandidateServing}, {S::Pausing, {ReportServing, SendPause}}},
    {{S::Switching, E::RollbackRequested}, {S::Restoring, {KillCandidate, ReassertSockets}}},
    {{S::Switching, E::CandidateFailed}, {S::Restoring, {KillCandidate, ReassertSockets}}},
    {{S::Switching, E::CandidateDied}, {S::Restoring, {KillCandidate, ReassertSockets}}},
    {{S::Switching, E::CandidateTimedOut}, {S::Restoring, {KillCandidate, ReassertSockets}}},
    {{S::Switching, E::InChargeDied}, {S::PreparingAlone, {HurryCandidate, LimitCandidate}}},

    {{S::Pausing, E::ReloadRequested}, {S::Pausing, {RefuseReload}}},
    {{S::Pausing, E::StopRequested}, {S::Stopping, {ReportFailed, DrainAll}}},
    {{S::Pausing, E::StopNowRequested}, {S::Stopping, {ReportFailed, CutAll}}},
    {{S::Pausing, E::InChargePaused}, {S::Probation, {BeginProbation}}},
    {{S::Pausing, E::InChargeFailed}, {S::Probation, {BeginProbation}}},
    {{S::Pausing, E::RollbackRequested}, {S::RollingBack, {ResumeInCharge}}},
    {{S::Pausing, E::CandidateFailed}, {S::Restoring, {KillCandidate, ResumeInCharge}}},
    {{S::Pausing, E::CandidateDied}, {S::Restoring, {KillCandidate, ResumeInCharge}}},
    {{S::Pausing, E::CandidateTimedOut}, {S::Restoring, {KillCandidate, ResumeInCharge}}},
    {{S::Pausing, E::InChargeDied}, {S::Serving, {Commit, ReportCommitted}}},

    {{S::Probation, E::ReloadRequested}, {S::Probation, {RefuseReload}}},
    {{S::Probation, E::StopRequested}, {S::Stopping, {EndProbation, ReportFailed, DrainAll}}},
    {{S::Probation, E::StopNowRequested}, {S::Stopping, {EndProbation, ReportFailed, CutAll}}},
    {{S::Probation, E::ProbationPassed}, {S::Serving, {EndProbation, Commit, ReportCommitted}}},
    {{S::Probation, E::RollbackRequested}, {S::RollingBack, {EndProbation, ResumeInCharge}}},
    {{S::Probation, E::CandidateFailed},
     {S::Restoring, {EndProbation, KillCandidate, ResumeInCharge}}},
    {{S::Probation, E::CandidateDied},
     {S::Restoring, {EndProbation, KillCandidate, ResumeInCharge}}},
    {{S::Probation, E::CandidateTimedOut},
     {S::Restoring, {EndProbation, KillCandidate, ResumeInCharge}}},
    {{S::Probation, E::InChargeDied}, {S::Serving, {EndProbation, Commit, ReportCommitted}}},

    {{S::RollingBack, E::ReloadRequested}, {S::RollingBack, {RefuseReload}}},
    {{S::RollingBack, E::StopRequested}, {S::Stopping, {ReportFailed, DrainAll}}},
    {{S::RollingBack, E::StopNowRequested}, {S::Stopping, {ReportFailed, CutAll}}},
    {{S::RollingBack, E::InChargeResumed}, {S::Retiring, {RetireCandidate}}},
    {{S::RollingBack, E::InChargeFailed}, {S::Serving, {CommitAfterAll, ReportFailed}}},
    {{S::RollingBack, E::InChargeDied}, {S::Serving, {CommitAfterAll, ReportFailed}}},
    {{S::RollingBack, E::CandidateFailed}, {S::Restoring, {KillCandidate}}},
    {{S::RollingBack, E::CandidateDied}, {S::Restoring, {KillCandidate}}},
    {{S::RollingBack, E::CandidateTimedOut}, {S::Restoring, {KillCandidate}}},

    {{S::Retiring, E::ReloadRequested}, {S::Retiring, {RefuseReload}}},
    {{S::Retiring, E::StopRequested}, {S::Stopping, {ReportFailed, DrainAll}}},
    {{S::Retiring, E::StopNowRequested}, {S::Stopping, {ReportFailed, CutAll}}},
    {{S::Retiring, E::CandidateRetired}, {S::Serving, {ReportFailed}}},
    {{S::Retiring, E::InChargeDied},
     {S::Recovering, {ReportFailed, SpawnReplacement, HurryCandidate}}},

    {{S::Restoring, E::ReloadRequested}, {S::Restoring, {RefuseReload}}},
    {{S::Restoring, E::StopRequested}, {S::Stopping, {ReportFailed, DrainAll}}},
    {{S::Restoring, E::StopNowRequested}, {S::Stopping, {ReportFailed, CutAll}}},
    {{S::Restoring, E::InChargeResumed}, {S::Serving, {ReportFailed}}},
    {{S::Restoring, E::InChargeFailed}, {S::Restoring, {KillInCharge}}},
    {{S::Restoring, E::InChargeDied},
     {S::Recovering, {ReportFailed, SpawnReplacement, HurryCandidate}}},

    {{S::Recovering, E::ReloadRequested}, {S::Recovering, {RefuseReload}}},
    {{S::Recovering, E::StopRequested}, {S::Stopping, {KillCandidate, DrainAll}}},
    {{S::Recovering, E::StopNowRequested}, {S::Stopping, {CutAll}}},
    {{S::Recovering, E::CandidateReady}, {S::Recovering, {SendServe}}},
    {{S::Recovering, E::CandidateServing}, {S::Serving, {TakeCharge, AnnounceReady}}},
    {{S::Recovering, E::CandidateFailed},
     {S::Recovering, {KillCandidate, SpawnReplacement, HurryCandidate}}},
    {{S::Recovering, E::CandidateDied},
     {S::Recovering, {KillCandidate, SpawnReplacement, HurryCandidate}}},
    {{S::Recovering, E::CandidateTimedOut},
     {S::Recovering, {KillCandidate, SpawnReplacement, HurryCandidate}}},

    {{S::BackingOff, E::ReloadRequested},
     {S::PreparingAlone, {DisarmBackOff, SpawnCandidate, HurryCandidate}}},
    {{S::BackingOff, E::StopRequested}, {S::Stopping, {DisarmBackOff, DrainAll}}},
    {{S::BackingOff, E::StopNowRequested}, {S::Stopping, {DisarmBackOff, CutAll}}},
    {{S::BackingOff, E::BackOffOver}, {S::Recovering, {SpawnReplacement, HurryCandidate}}},

    {{S::Stopping, E::ReloadRequested}, {S::Stopping, {RefuseReload}}},
    {{S::Stopping, E::StopRequested}, {S::Stopping, {DrainAll}}},
    {{S::Stopping, E::StopNowRequested}, {S::Stopping, {CutAll}}},
    {{S::Stopping, E::AllGone}, {S::Stopped, {Exit}}},

    {{S::Stopped, E::ReloadRequested}, {S::Stopped, {RefuseReload}}},
};

std::string words(const std::vector<Action>& actions) {
  std::string text;
  for (const Action action : actions)
    text += std::string(text.empty() ? "" : ", ") + std::string(name(action));
  return text;
}

bool serves_somewhere(Stage stage) {
  return stage == S::Serving || stage == S::Preparing || stage == S::Switching ||
         stage == S::Pausing || stage == S::Probation || stage == S::RollingBack ||
         stage == S::Retiring || stage == S::Restoring;
}

// Feeds events one after the other and keeps the actions of the last.
Step walk(State state, const std::vector<Event>& events) {
  Step last{state, {}};
  for (const Event& event : events) last = step(last.state, event);
  return last;
}

const std::vector<Event> kReload{{E::ReloadRequested},
                                 {E::CandidateReady},
                                 {E::CandidateServing},
                                 {E::InChargePaused},
                                 {E::ProbationPassed}};

State serving() { return walk({}, {{E::Start}, {E::CandidateReady}, {E::CandidateServing}}).state; }

TEST_CASE("lifecycle: every state and event") {
  for (int s = 0; s < kStages; ++s) {
    for (int e = 0; e < kEventKinds; ++e) {
      const auto stage = static_cast<Stage>(s);
      const auto kind = static_cast<EventKind>(e);
      CAPTURE(name(stage));
      CAPTURE(name(kind));
      const auto row = kTable.find({stage, kind});
      const Expected expected = row == kTable.end() ? Expected{stage, {}} : row->second;
      const Step got = step({.stage = stage}, {kind});
      CHECK(name(got.state.stage) == name(expected.next));
      CHECK(words(got.actions) == words(expected.actions));
    }
  }
}

TEST_CASE("lifecycle: a stop is obeyed and a reload is answered in every state") {
  for (int s = 0; s < kStages; ++s) {
    const auto stage = static_cast<Stage>(s);
    CAPTURE(name(stage));
    const Stage after = step({.stage = stage}, {E::StopNowRequested}).state.stage;
    CHECK((after == S::Stopping || after == S::Stopped));
    CHECK(accepts_reload(stage) == refusal(stage).empty());
    const Step reload = step({.stage = stage}, {E::ReloadRequested});
    const Step rollback = step({.stage = stage}, {E::RollbackRequested});
    const bool does_so = stage == S::RollingBack || stage == S::Retiring || stage == S::Restoring;
    CHECK(can_roll_back(stage) == (does_so || rollback.state.stage != stage));
    CHECK_FALSE((can_roll_back(stage) && accepts_reload(stage)));
    CHECK(accepts_reload(stage) == (words(reload.actions) != "refuse reload"));
  }
}

TEST_CASE("lifecycle: while old serves no event of new alone stops the service") {
  for (const EventKind kind :
       {E::CandidateFailed, E::CandidateDied, E::CandidateTimedOut, E::RollbackRequested}) {
    for (const Stage stage : {S::Preparing, S::Switching, S::Pausing, S::Probation}) {
      const Step failed = step({.stage = stage}, {kind});
      CHECK(serves_somewhere(failed.state.stage));
      const Step resumed = step(failed.state, {E::InChargeResumed});
      CHECK(step(resumed.state, {E::CandidateRetired}).state.stage == S::Serving);
    }
  }
}

TEST_CASE("lifecycle: a reload that commits forgets earlier crashes and can be fallen back from") {
  State state = serving();
  state.quick_crashes = 2;
  state.fell_back = true;
  const Step done = walk(state, kReload);
  CHECK(done.state == State{.stage = S::Serving, .has_previous = true});
  CHECK(words(done.actions) == "end probation, commit, report committed");
}

TEST_CASE("lifecycle: a crash after a long life is answered at once") {
  State state = serving();
  state.quick_crashes = 5;
  const Step crashed = step(state, {E::InChargeDied, false});
  CHECK(crashed.state == State{.stage = S::Recovering});
  CHECK(words(crashed.actions) == "spawn replacement, hurry candidate");
}

TEST_CASE("lifecycle: a crash loop backs off") {
  State state = serving();
  for (int crash = 1; crash <= 4; ++crash) {
    const Step crashed = step(state, {E::InChargeDied, true});
    CAPTURE(crash);
    CHECK(crashed.state.stage == (crash < 2 ? S::Recovering : S::BackingOff));
    state = crashed.state;
    if (state.stage == S::BackingOff) state = step(state, {E::BackOffOver}).state;
    state = walk(state, {{E::CandidateReady}, {E::CandidateServing}}).state;
    REQUIRE(state.stage == S::Serving);
  }
}

TEST_CASE("lifecycle: the third quick crash in a row falls back, once") {
  State state{.stage = S::Serving, .quick_crashes = 2, .has_previous = true};
  const Step third = step(state, {E::InChargeDied, true});
  CHECK(words(third.actions) == "fall back, arm back-off");
  CHECK(third.state.fell_back);
  const Step fourth = walk(third.state, {{E::BackOffOver}, {E::CandidateDied}});
  CHECK(words(fourth.actions) == "kill candidate, arm back-off");
}

TEST_CASE("lifecycle: without a previous pair a crash loop goes on with what there is") {
  const Step third = step({.stage = S::Serving, .quick_crashes = 2}, {E::InChargeDied, true});
  CHECK(words(third.actions) == "arm back-off");
  CHECK_FALSE(third.state.fell_back);
}

TEST_CASE("lifecycle: a replacement that never serves counts as a quick crash") {
  const Step failed =
      walk(serving(), {{E::InChargeDied, false}, {E::CandidateTimedOut}, {E::CandidateTimedOut}});
  CHECK(failed.state.quick_crashes == 2);
  CHECK(failed.state.stage == S::BackingOff);
}

TEST_CASE("lifecycle: a reload ends a crash loop") {
  const Step done = walk({.stage = S::BackingOff, .quick_crashes = 7},
                         {{E::ReloadRequested}, {E::CandidateReady}, {E::CandidateServing}});
  CHECK(done.state == State{.stage = S::Serving, .has_previous = true});
}

TEST_CASE(
    "lifecycle: a failed reload during a crash loop starts what ran at once, and the loop goes "
    "on") {
  const Step failed = walk({.stage = S::BackingOff, .quick_crashes = 7},
                           {{E::ReloadRequested}, {E::CandidateFailed}});
  CHECK(failed.state == State{.stage = S::Recovering, .quick_crashes = 7});
  CHECK(words(failed.actions) ==
        "kill candidate, report failed, spawn replacement, hurry candidate");
  const Step again = step(failed.state, {E::CandidateDied});
  CHECK(again.state == State{.stage = S::BackingOff, .quick_crashes = 8});
}

TEST_CASE("lifecycle: the back-off doubles from 100 ms to 10 s") {
  const long expected[] = {0, 0, 100, 200, 400, 800, 1600, 3200, 6400, 10'000, 10'000};
  for (std::uint32_t crashes = 0; crashes < 11; ++crashes) {
    CHECK(back_off(crashes).count() == expected[crashes]);
  }
  CHECK(back_off(~0U).count() == 10'000);
}

struct GoingOn {
  Stage before;
  Survivors survivors;
  Expected expected;
};

TEST_CASE("lifecycle: how a supervisor goes on in place of another") {
  constexpr Survivors kOld{.in_charge = true, .has_good_pair = true};
  constexpr Survivors kPausedOld{
      .in_charge = true, .in_charge_paused = true, .has_good_pair = true};
  constexpr Survivors kBoth{
      .in_charge = true, .in_charge_paused = true, .candidate_serves = true, .has_good_pair = true};
  constexpr Survivors kUnpaused{.in_charge = true, .candidate_serves = true, .has_good_pair = true};
  constexpr Survivors kNew{.candidate_serves = true, .has_good_pair = true};
  constexpr Survivors kNobody{.has_good_pair = true};
  const GoingOn table[] = {
      {S::Serving, kOld, {S::Serving, {AnnounceReady}}},
      {S::BackingOff, kNobody, {S::BackingOff, {ArmBackOff}}},
      {S::Preparing, kOld, {S::Restoring, {AnnounceReady, KillCandidate, ResumeInCharge}}},
      {S::Probation, kPausedOld, {S::Restoring, {AnnounceReady, KillCandidate, ResumeInCharge}}},
      {S::Switching, kUnpaused, {S::Pausing, {AnnounceReady, SendPause}}},
      {S::Pausing, kUnpaused, {S::Pausing, {AnnounceReady, SendPause}}},
      {S::Pausing, kBoth, {S::Probation, {AnnounceReady, BeginProbation}}},
      {S::Probation, kBoth, {S::Probation, {AnnounceReady, BeginProbation}}},
      {S::RollingBack, kBoth, {S::RollingBack, {AnnounceReady, ResumeInCharge}}},
      {S::RollingBack, kUnpaused, {S::RollingBack, {AnnounceReady, ResumeInCharge}}},
      {S::RollingBack, kPausedOld, {S::Restoring, {AnnounceReady, KillCandidate, ResumeInCharge}}},
      {S::RollingBack, kNew, {S::Serving, {TakeCharge, AnnounceReady}}},
      {S::Retiring, kOld, {S::Serving, {AnnounceReady}}},
      {S::Retiring, kNobody, {S::Recovering, {KillCandidate, SpawnReplacement, HurryCandidate}}},
      {S::Restoring, kBoth, {S::Restoring, {AnnounceReady, KillCandidate, ResumeInCharge}}},
      // Its order to pause was never written down.
      {S::Serving, kPausedOld, {S::Restoring, {AnnounceReady, KillCandidate, ResumeInCharge}}},
      {S::Probation, kNew, {S::Serving, {Commit, ReportCommitted}}},
      {S::Starting, kNew, {S::Serving, {TakeCharge, AnnounceReady}}},
      {S::Recovering, kNew, {S::Serving, {TakeCharge, AnnounceReady}}},
      {S::Serving, kNobody, {S::Recovering, {KillCandidate, SpawnReplacement, HurryCandidate}}},
      {S::Stopping, kNobody, {S::Recovering, {KillCandidate, SpawnReplacement, HurryCandidate}}},
      {S::Serving, {}, {S::Idle, {KillCandidate}}},
      {S::Starting, {}, {S::Idle, {KillCandidate}}},
  };
  for (const auto& [before, survivors, expected] : table) {
    CAPTURE(name(before));
    const Step step = resume({.stage = before}, survivors);
    CHECK(step.state.stage == expected.next);
    CHECK(step.actions == expected.actions);
  }
}

TEST_CASE("lifecycle: wherever it goes on, it comes to serve or to start") {
  for (int stage = 0; stage < kStages; ++stage) {
    for (unsigned bits = 0; bits < 16; ++bits) {
      const Survivors survivors{.in_charge = (bits & 1) != 0,
                                .in_charge_paused = (bits & 2) != 0,
                                .candidate_serves = (bits & 4) != 0,
                                .has_good_pair = (bits & 8) != 0};
      const Stage next = resume({.stage = static_cast<Stage>(stage)}, survivors).state.stage;
      const bool on_probation = next == S::Pausing || next == S::Probation;
      const bool rolls_back = next == S::RollingBack || next == S::Restoring;
      const bool sound = next == S::Serving || rolls_back || next == S::Recovering ||
                         next == S::BackingOff || next == S::Idle || on_probation;
      CHECK_FALSE((on_probation && !(survivors.in_charge && survivors.candidate_serves)));
      CHECK_MESSAGE(sound, name(static_cast<Stage>(stage)) << " " << bits);
      CHECK_FALSE((next == S::Recovering && !survivors.has_good_pair));
    }
  }
}

TEST_CASE("lifecycle: a supervisor is replaced only when nothing is pending") {
  for (int stage = 0; stage < kStages; ++stage) {
    const auto each = static_cast<Stage>(stage);
    CHECK(accepts_upgrade(each) == (each == S::Serving || each == S::BackingOff));
    CHECK(accepts_upgrade(each) == refusal(each).empty());
  }
}

}  // namespace
}  // namespace baton::supervisor::lifecycle
