// Whether an error of a connected UDP socket tells of the other end: an ICMP message said that
// nobody is there, or no way leads there. Anything else is a matter of this side, or of one
// datagram. Source: udp(7), ip(7). Thread: any; a pure function.
#pragma once

#include <cerrno>

namespace baton::proxy::udp {

constexpr bool is_endpoint_error(int error) {
  switch (error) {
    case ECONNREFUSED:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENETDOWN:
    case ENETUNREACH:
    case ENONET:
    case ENOPROTOOPT:
    case EPROTO:
      return true;
    default:
      return false;
  }
}

}  // namespace baton::proxy::udp
