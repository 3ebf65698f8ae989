// What a reload has done to connections, as text and JSON.
// Thread: any; pure.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <string>

#include "proto/control.pb.h"

namespace baton::supervisor {

// "12 connections moved, 3 left (rejected: 2 no_listener), 1 cut"
std::string moves_text(const proto::Moves& moves);
// {"moved": 12, "left": 3, "rejected": {"no_listener": 2}, "cut": 1, "lost": 0}
nlohmann::ordered_json moves_json(const proto::Moves& moves);

}  // namespace baton::supervisor
