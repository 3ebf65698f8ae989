// The limit of open files: RLIMIT_NOFILE, getrlimit(2).
#pragma once

#include <cstdint>

namespace baton::os {

// Raises the soft limit to the hard one and returns the limit now in force. Never fails: what
// cannot be raised stays as it was.
std::uint64_t raise_fd_limit();

}  // namespace baton::os
