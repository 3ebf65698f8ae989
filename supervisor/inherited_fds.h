// The descriptors a service manager has passed to this process: sockets it listens on for us
// (socket activation), and what we had asked it to keep (its fd store). Each has a name.
//
// Thread: main, at start, before any other thread and any child: it changes the environment.
// Source: sd_listen_fds_with_names(3).
#pragma once

#include <string>
#include <vector>

#include "shared/os/unique_fd.h"

namespace baton::supervisor {

struct InheritedFd {
  std::string name;  // FileDescriptorName= of a socket unit, FDNAME= of a stored one
  os::UniqueFd fd;   // CLOEXEC
};

// Takes them over, in the order they came, and removes LISTEN_* from the environment, so that
// nothing started later takes them for its own. Empty when there are none or they are meant for
// another process (LISTEN_PID). What is promised but not open is left out and logged.
std::vector<InheritedFd> take_inherited_fds();

}  // namespace baton::supervisor
