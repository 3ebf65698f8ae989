// Whether an error of socket(2) or connect(2) is a shortage on this side, of descriptors, memory or
// local ports, and so says nothing about the peer. EAGAIN of a unix socket: the queue of the peer
// is full; it too may have room a moment later. Thread: any; a pure function.
#pragma once

#include <cerrno>

namespace baton::proxy {

constexpr bool is_local_shortage(int error) {
  switch (error) {
    case EAGAIN:
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case EADDRNOTAVAIL:
      return true;
    default:
      return false;
  }
}

}  // namespace baton::proxy
