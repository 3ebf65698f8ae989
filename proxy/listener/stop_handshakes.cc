#include "proxy/listener/stop_handshakes.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <limits>

namespace baton::proxy {

bool stop_new_handshakes(int listening_fd) {
  int domain = 0;
  socklen_t length = sizeof domain;
  if (::getsockopt(listening_fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 &&
      domain == AF_UNIX) {
    ::shutdown(listening_fd, SHUT_RD);
    return false;
  }
  int protocol = 0;
  length = sizeof protocol;
  if (::getsockopt(listening_fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &length) != 0 ||
      protocol != IPPROTO_TCP) {
    return false;
  }
  // Interfaces are numbered from 1 on.
  const int nowhere = std::numeric_limits<int>::max();
  return ::setsockopt(listening_fd, SOL_SOCKET, SO_BINDTOIFINDEX, &nowhere, sizeof nowhere) == 0;
}

}  // namespace baton::proxy
