// What a reload has done to the connections of the generation before it, read from the region.
// Thread: the supervisor's; borrows for the call.
#pragma once

#include "proto/control.pb.h"
#include "supervisor/state.h"
#include "supervisor/supervisor_region.h"

namespace baton::supervisor {

// `from`: the generation before, while the region knows of it, be it that its process has ended.
Moves moves_of(const LastReload& reload, const GenerationRecord& from, bool ended,
               const SupervisorState& state, const SupervisorRegion& region);

// The same, some time after that generation ended: what was known then, `at_end`, and what the
// others have done since. After one that died, the next learns of its death by itself, and only
// then goes on with what it had been offered.
Moves moves_later(Moves at_end, const LastReload& reload, const SupervisorState& state,
                  const SupervisorRegion& region);

void fill(proto::Moves& message, const Moves& moves);

}  // namespace baton::supervisor
