// Who listens on an address, or has bound a UDP socket there: for an error message that names the
// process.
// Reads /proc; slow, and only used once a bind has failed. Thread: main. Source: proc(5)
// /proc/net/tcp, udp, /proc/PID/fd; unix(7) SO_PEERCRED.
#pragma once

#include <sys/types.h>

#include <set>
#include <string>

#include "shared/os/socket_address.h"

namespace baton::proxy {

struct AddressOwner {
  enum class Kind {
    Nobody,   // not any more
    Unknown,  // not visible to this user
    Somebody,
  };
  Kind kind = Kind::Unknown;
  std::string text;  // "nginx, pid 4711"; empty when unknown
};

// A v6 wildcard socket has the v4 addresses of its port as well, unless it is v6-only, which /proc
// does not tell.
enum class V6Wildcards { Count, Ignore };

// Of sockets that none of these processes has. `wildcards`: whether such ones have a v4 address.
AddressOwner find_tcp_owner(const os::SocketAddress& address, const std::set<pid_t>& but,
                            V6Wildcards wildcards = V6Wildcards::Count);
AddressOwner find_udp_owner(const os::SocketAddress& address, const std::set<pid_t>& but,
                            V6Wildcards wildcards = V6Wildcards::Count);
// Of a connected or connecting unix stream socket's other end.
AddressOwner find_unix_owner(int connected_fd);

}  // namespace baton::proxy
