// The life of the generation in charge and of the one that is to follow it, as a pure state
// machine: no descriptor, clock or log in here. The Supervisor turns what happens into events and
// carries out the actions; generations that drain are no part of this (each ends on its own).
//
//               Start                                        ReloadRequested
//      Idle ──────────► Starting ── CandidateServing ─► Serving ────────────► Preparing
//                           │                           ▲ ▲ ▲                    │ CandidateReady
//                           │ fails                     │ │ │ ProbationPassed    ▼
//                           ▼                           │ │ └── Probation ◄─ Pausing ◄─ Switching
//                       Stopping ── AllGone ► Stopped   │ │        │ fails      │ fails    │ fails
//                           ▲                           │ │ InChargeResumed     │          │
//                           │ StopRequested, anywhere   │ └──── Restoring ◄─────┴──────────┘
//                                                       │                        (Preparing, too)
//      InChargeDied:  Serving, Restoring ─► Recovering ─┤ CandidateServing
//                                             │    ▲    │
//                              fails: wait    ▼    │ BackOffOver
//                                          BackingOff ─── ReloadRequested ──┐
//                     Preparing, Switching ─► PreparingAlone ◄──────────────┘
//                                             │ CandidateServing: commits, there is no way back
//                     Pausing, Probation ─────┴─► Serving: the candidate serves already
//
// RollbackRequested is to a reload under way what a failure of its candidate is; but one that
// serves is not killed: it lives on in RollingBack, until the one in charge accepts again. Should
// that one die, or not answer, it commits; should it die itself: Restoring. In Retiring it is told
// to drain, into the one in charge; Serving once it accepts no more.
//
// Thread: any; pure functions of plain values.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>
#include <vector>

namespace baton::supervisor::lifecycle {

enum class Stage : std::uint8_t {
  Idle,
  Starting,        // the very first generation; nothing serves
  Serving,         // one generation in charge, nothing pending
  Preparing,       // reload: the candidate starts, the generation in charge serves
  PreparingAlone,  // reload without a generation in charge: it crashed
  Switching,       // the candidate was told to serve
  Pausing,         // the candidate serves; the generation in charge was told to pause
  Probation,       // the candidate serves and must prove itself; the other one is paused
  RollingBack,     // by request: the one in charge is to accept again, the candidate serves on
  Retiring,        // ... and does; the candidate is to accept no more
  Restoring,       // the reload has failed; the generation in charge is to accept again
  Recovering,      // after a crash: a fresh generation starts from the sockets in escrow
  BackingOff,      // waits before the next Recovering
  Stopping,        // everything drains, or is being killed
  Stopped,
};
inline constexpr int kStages = static_cast<int>(Stage::Stopped) + 1;

enum class EventKind : std::uint8_t {
  Start,
  ReloadRequested,    // reload, or rollback of a committed one; what to run is open already
  RollbackRequested,  // of the reload under way
  StopRequested,      // with drain
  StopNowRequested,   // at once
  CandidateReady,     // warmed up, waits for the word to serve
  CandidateServing,   // every worker accepts
  CandidateFailed,    // could not be started, reported a reason, or answered an error
  CandidateDied,      // the process has ended
  CandidateTimedOut,  // start limit, or a request or ping without answer
  CandidateRetired,   // accepts no more, or has ended
  ProbationPassed,
  InChargePaused,
  InChargeResumed,
  InChargeFailed,  // did not do what it was asked: pause or resume
  InChargeDied,
  BackOffOver,
  AllGone,  // no process is left
};
inline constexpr int kEventKinds = static_cast<int>(EventKind::AllGone) + 1;

struct Event {
  EventKind kind;
  bool soon = false;  // InChargeDied: within kQuickCrash of serving
};

enum class Action : std::uint8_t {
  SpawnCandidate,    // from what the reload (or the start) asked for
  SpawnReplacement,  // from the last good binary and configuration
  FallBack,          // the previous binary and configuration become the good ones
  SendServe,
  SendPause,
  BeginProbation,
  EndProbation,
  TakeCharge,       // the candidate is in charge; nothing was there before, or it has died
  Commit,           // of a reload: TakeCharge, drop unused sockets, drain the one before
  CommitAfterAll,   // the same, though the one before was told that it is not to follow
  RetireCandidate,  // it drains, into the one in charge
  KillCandidate,
  HurryCandidate,  // nobody else serves: it does not wait for its endpoints
  LimitCandidate,  // ... and has less time than it was given: a fresh one may do better
  KillInCharge,
  ReturnSockets,    // what the candidate had added goes to the generation in charge
  ReassertSockets,  // ... which also listens again, as the candidate may have changed how
  ResumeInCharge,   // ... and accepts again: the reload is rolled back
  ReportServing,
  ReportCommitted,
  ReportFailed,
  RefuseReload,
  ReportStartFailed,
  AnnounceReady,  // a generation serves; told again, it changes nothing
  ArmBackOff,
  DisarmBackOff,
  DrainAll,
  CutAll,  // connections too; kills what does not end at once
  Exit,
};

struct State {
  Stage stage = Stage::Idle;
  std::uint32_t quick_crashes = 0;  // in a row
  bool has_previous = false;        // there is something to fall back to
  bool fell_back = false;           // since the last reload
  friend bool operator==(const State&, const State&) = default;
};

struct Step {
  State state;
  std::vector<Action> actions;  // in this order
};

// An event that means nothing in a state (a late answer) leaves it as it is.
Step step(const State& state, Event event);

// What a supervisor finds of the generations when it goes on in place of another one.
struct Survivors {
  bool in_charge = false;  // lives, and does what it is told
  bool in_charge_paused = false;
  bool candidate_serves = false;  // the same, and it accepts: it was on probation, or about to be
  bool has_good_pair = false;     // what a fresh generation can be started from
};
// How it goes on. A reload that was under way has failed unless its candidate serves, whose
// connections are not to be cut because a supervisor was killed: that one begins its probation
// anew. Stage Idle: nothing is left to go on with, Start is the next event.
Step resume(const State& state, const Survivors& survivors);
// Whether that is with the reload that was under way; it may be committed at once.
bool goes_on_with_reload(Stage stage, const Survivors& survivors);

// Whether the supervisor may be replaced now; refusal() says why not.
bool accepts_upgrade(Stage stage);

// Whether a reload may begin; otherwise it is refused for the reason that refusal() gives.
bool accepts_reload(Stage stage);
std::string_view refusal(Stage stage);
// Whether a reload is under way that a rollback ends, before it could commit.
bool can_roll_back(Stage stage);
// Whether one has failed, or was ended by request, and what was before it is being brought back.
bool rolls_back(Stage stage);

// A crash within this time of serving counts as one of a loop.
inline constexpr std::chrono::seconds kQuickCrash{10};
// So many quick crashes in a row: the previous good pair is used.
inline constexpr std::uint32_t kCrashesToFallBack = 3;
// The wait before the next start: none, none, 100 ms, 200 ms, ... 10 s.
std::chrono::milliseconds back_off(std::uint32_t quick_crashes);

std::string_view name(Stage stage);
std::string_view name(EventKind kind);
std::string_view name(Action action);

}  // namespace baton::supervisor::lifecycle
