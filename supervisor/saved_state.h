// The state and its message, proto/state.proto, in both directions. Framing: state_codec.h.
// Thread: any; pure functions.
#pragma once

#include <expected>
#include <string>

#include "proto/state.pb.h"
#include "supervisor/state_codec.h"

namespace baton::supervisor {

void save_state(const SupervisorState& state, proto::SavedState& saved);

// The error says what does not add up. Descriptors: see DecodedState.
std::expected<DecodedState, std::string> load_state(const proto::SavedState& saved);

}  // namespace baton::supervisor
