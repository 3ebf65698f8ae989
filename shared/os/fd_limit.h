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

// Makes room for descriptors below min(count, limit) at once. The kernel doubles its table as
// descriptors are opened and, in a process of several threads, lets the one that opens the 65th,
// 129th, 257th, ... wait for all readers of the old table: 10 to 30 ms each (expand_fdtable() in
// the kernel's fs/file.c). So this is for the time before the first thread; 8 bytes each, never
// given back. Without effect when no descriptor is left.
void reserve_fds(std::uint64_t count);

}  // namespace baton::os
