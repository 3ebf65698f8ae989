// Who listens on an address: for an error message that names the process, and to tell a stranger's
// socket from one of our own supervisor. Reads /proc; slow, and only used once a bind has failed.
// Thread: main. Source: proc(5) /proc/net/tcp, /proc/PID/fd; unix(7) SO_PEERCRED.
#pragma once

#include <string>

#include "shared/os/socket_address.h"

namespace baton::proxy {

struct AddressOwner {
  enum class Kind {
    Unknown,  // nobody visible to this user
    Stranger,
    OwnSupervisor,  // every socket found there is held by this process's parent (its escrow)
  };
  Kind kind = Kind::Unknown;
  std::string text;  // "nginx, pid 4711"; empty when unknown
};

AddressOwner find_tcp_owner(const os::SocketAddress& address);
// Of a connected or connecting unix stream socket's other end.
AddressOwner find_unix_owner(int connected_fd);

}  // namespace baton::proxy
