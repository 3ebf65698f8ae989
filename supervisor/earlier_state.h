// What a supervisor that was killed has left of its state, made ready to be gone on with.
// Thread: main, at start, with the control socket claimed.
#pragma once

#include <string>
#include <vector>

#include "supervisor/inherited_fds.h"
#include "supervisor/state.h"

namespace baton::supervisor {

struct EarlierState {
  bool found = false;
  SupervisorState state;  // if none was found a new one, which only knows what is stored
};

// Looks for the state beside the control socket and among what the service manager has passed, and
// takes the later one. None that can be used, where there is one, is logged together with what that
// means. What the manager has kept for us is taken out of `inherited`, used or not.
//
// Of the state, what belonged to the process that wrote it is cleared: channels, waiting clients,
// and every descriptor that was not kept.
EarlierState find_earlier_state(const std::string& control_path,
                                std::vector<InheritedFd>& inherited);

}  // namespace baton::supervisor
