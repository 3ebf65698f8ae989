// What kind of socket a descriptor is that somebody else has passed or named.
// Thread: any; a pure function. Source: socket(7), SO_TYPE.
#pragma once

#include <sys/socket.h>

#include <optional>

namespace baton::os {

// SOCK_STREAM, SOCK_DGRAM or another one; nothing: it is no socket.
inline std::optional<int> socket_type(int fd) {
  int type = 0;
  socklen_t length = sizeof type;
  if (::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) != 0) return std::nullopt;
  return type;
}

}  // namespace baton::os
