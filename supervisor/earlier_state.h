// What a supervisor that was killed has left of its state, made ready to be gone on with.
// Thread: main, at start, with the control socket claimed.
#pragma once

#include <optional>
#include <string>

#include "supervisor/state.h"

namespace baton::supervisor {

// Looks for the state beside the control socket. Nothing: there is none, or none that can be used,
// which is logged together with what that means. Of the state, what belonged to the process that
// wrote it is cleared: descriptors, channels, waiting clients.
std::optional<SupervisorState> find_earlier_state(const std::string& control_path);

}  // namespace baton::supervisor
