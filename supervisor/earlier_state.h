// What a supervisor that was killed has left of its state, made ready to be gone on with.
// Thread: main, at start, with the control socket claimed.
#pragma once

#include <expected>
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
// takes the later one. One that is damaged, or that others could have written, is set aside and
// logged together with what that means. Of a later release's, this program knows neither which
// generations serve nor what they need: error, why not to run; everything is left as it is. What
// the manager has kept for us is taken out of `inherited`, used or not.
//
// Of the state, what belonged to the process that wrote it is cleared: channels, waiting clients,
// and every descriptor that was not kept.
std::expected<EarlierState, std::string> find_earlier_state(const std::string& control_path,
                                                            std::vector<InheritedFd>& inherited);

}  // namespace baton::supervisor
