#include "proxy/upstream/local_shortage.h"

#include <sys/socket.h>

#include <cerrno>

#include "shared/os/unique_fd.h"

namespace baton::proxy {
namespace {

// Connecting a datagram socket sends nothing, and says EAGAIN when it gets no port.
bool has_source_address(const os::SocketAddress& peer) {
  const os::UniqueFd probe(::socket(peer.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
  return !probe.valid() || ::connect(probe.get(), peer.data(), peer.length()) == 0 ||
         errno != EADDRNOTAVAIL;
}

}  // namespace

bool is_local_shortage(int error, const os::SocketAddress& peer) {
  switch (error) {
    case EAGAIN:
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
      return true;
    case EADDRNOTAVAIL:
      return has_source_address(peer);
    default:
      return false;
  }
}

}  // namespace baton::proxy
