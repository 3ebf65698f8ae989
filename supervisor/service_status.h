// The state as one line for a human: what `systemctl status` shows.
// Thread: the supervisor's.
#pragma once

#include <string>

#include "supervisor/state.h"
#include "supervisor/supervisor_region.h"

namespace baton::supervisor {

// "generation 7 in charge, 123 connections; 1 draining, 4 connections, cut in 25s". `now`: seconds
// since the epoch.
std::string service_status(const SupervisorState& state, const SupervisorRegion& region,
                           double now);

}  // namespace baton::supervisor
