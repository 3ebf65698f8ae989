// Whether a descriptor that came with a record is what the record says.
// Thread: any; a pure function. Source: socket(7), SO_TYPE.
#pragma once

#include <sys/socket.h>

#include "shared/os/unique_fd.h"

namespace baton::proxy {

// `type`: SOCK_STREAM or SOCK_DGRAM.
inline bool is_socket(const os::UniqueFd& fd, int type) {
  int actual = 0;
  socklen_t length = sizeof actual;
  return ::getsockopt(fd.get(), SOL_SOCKET, SO_TYPE, &actual, &length) == 0 && actual == type;
}

}  // namespace baton::proxy
