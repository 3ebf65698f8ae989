// The answer to `status`: the state in words and numbers.
// Thread: the supervisor's.
#pragma once

#include <optional>
#include <string>

#include "proto/channel.h"
#include "supervisor/reload_report.h"
#include "supervisor/state.h"
#include "supervisor/supervisor_region.h"

namespace baton::supervisor {

// Sends one partial StatusReply a generation, and a final one with the rest: a message has room for
// the listeners of one, not of all.
void report_status(const SupervisorState& state, const SupervisorRegion& region,
                   const std::optional<ReloadProgress>& reload, const std::string& note,
                   const proto::Responder& client);

}  // namespace baton::supervisor
