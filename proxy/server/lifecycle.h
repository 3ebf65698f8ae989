// The life of a generation, seen from inside: what each order of the supervisor means in each
// state.
//
//   Starting ─warmed─► Ready ─serve─► Serving ─pause─► Paused ─drain─► Draining ─empty/deadline─►
//   Exited
//                                        ▲───resume───────┘               ▲
//                                        └───────────drain (stop)─────────┘
//
// A paused one that is left alone goes back to Serving by itself.
// The generation never decides its own end because a message failed: it leaves only when told to
// drain, or when it has lost the supervisor before it ever served.
// Thread: none; pure.
#pragma once

#include <string_view>

namespace baton::proxy {

enum class GenerationState { Starting, Ready, Serving, Paused, Draining, Exited };

enum class GenerationEvent {
  Warmed,  // everything is built
  Serve,   // orders of the supervisor
  Pause,
  Resume,
  Drain,
  Empty,           // a drain holds no connection any more
  DeadlinePassed,  // of the drain
  SupervisorLost,
  LeftAlone,  // neither the supervisor nor a next generation is there
};

enum class GenerationAction {
  None,
  StartAccepting,   // on every socket
  PauseAccepting,   // on the sockets the next generation shares
  ResumeAccepting,  // on every socket, those the failed generation added included
  BeginDrain,       // let go of shared sockets, empty the others, set the deadline
  RetuneDrain,      // set the deadline anew
  CutAndExit,
  Exit,
  Refuse,  // the order makes no sense now: say so, change nothing
};

struct GenerationStep {
  GenerationState state;
  GenerationAction action;
};

GenerationStep step(GenerationState state, GenerationEvent event);
std::string_view state_name(GenerationState state);

}  // namespace baton::proxy
