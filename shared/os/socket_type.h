// What kind of socket a descriptor is that somebody else has passed or named.
// Thread: any; pure functions. Source: socket(7), SO_TYPE, SO_ACCEPTCONN.
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

// False, too: it is no socket.
inline bool listens(int fd) {
  int listening = 0;
  socklen_t length = sizeof listening;
  return ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) == 0 && listening != 0;
}

}  // namespace baton::os
