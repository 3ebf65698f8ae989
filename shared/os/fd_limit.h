// The limit of open files: RLIMIT_NOFILE, getrlimit(2).
#pragma once

#include <cstdint>

namespace baton::os {

// Raises the soft limit to the hard one and returns the limit now in force. Never fails: what
// cannot be raised stays as it was.
std::uint64_t raise_fd_limit();
std::uint64_t fd_limit();

// The number the next descriptor of this process gets: the kernel gives the lowest one that is
// free, open(2). The limit itself when none is.
std::uint64_t next_fd();

}  // namespace baton::os
