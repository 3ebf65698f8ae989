// Runs the supervisor on a state, to its end or until another program has taken its place.
// Thread: main. The control socket of the state is claimed, and released at the end.
#pragma once

#include <string>

#include "supervisor/command_line.h"
#include "supervisor/state.h"

namespace baton::supervisor {

// Both print the reason of a failure, and return the exit status.
int supervise(SupervisorState& state, const StartPaths& paths);
// The same in place of a supervisor before, whose state it is. The paths count only if none of its
// generations can go on.
int supervise_on(SupervisorState& state, const StartPaths& paths);

void init_log(const LogSettings& settings);
// One line on standard error; returns the status.
int complain(int exit_status, const std::string& text);

}  // namespace baton::supervisor
