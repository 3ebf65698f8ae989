// The state in the runtime directory, beside the control socket: for a supervisor that is started
// after this one was killed. Replaced by rename, so that it is always a whole one; where there is
// no room for that, written over in the room it has. It holds the generations' tokens, so it is for
// its owner only. Thread: any. Source: open(2), rename(2), fallocate(2).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "shared/os/error.h"

namespace baton::supervisor {

std::string state_file_path(const std::string& control_path);

// Error: what was there before is damaged, and will be taken for that, rather than out of date; if
// it could not even be opened, it is still there.
os::Result<void> write_state_file(const std::string& path, std::string_view bytes);

// Nothing: there is none. Error: it cannot be read, or anyone else could have written it.
os::Result<std::optional<std::string>> read_state_file(const std::string& path);

// Where one that cannot be used is kept, so that the next one that is written does not replace it.
std::string unusable_state_path(const std::string& path);
os::Result<void> set_state_file_aside(const std::string& path);

}  // namespace baton::supervisor
