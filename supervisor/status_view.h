// `status` as a user or a program reads it. Source: design section 7 (the JSON is a contract).
// Thread: none; pure functions.
#pragma once

#include <string>

#include "proto/control.pb.h"

namespace baton::supervisor {

// {"supervisor":{...},"generations":[...],"last_reload":{...} or null}, one line.
std::string status_json(const proto::StatusReply& status);

// A table of the generations, and a few lines around it. `now`: seconds since the epoch.
std::string status_text(const proto::StatusReply& status, double now);

}  // namespace baton::supervisor
