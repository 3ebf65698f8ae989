// Binding a listening socket, without listening on it yet: a SO_REUSEPORT socket gets its share of
// the connections from listen(2) on, so that comes only when somebody accepts. A UDP socket gets
// its share of the datagrams from bind(2) on.
// Thread: main. Source: socket(7) SO_REUSEPORT, ip(7), udp(7), unix(7).
#pragma once

#include <sys/types.h>

#include <set>

#include "shared/os/error.h"
#include "shared/os/socket_address.h"
#include "shared/os/unique_fd.h"

namespace baton::proxy {

enum class GroupPlace {
  First,  // whoever is bound there is a stranger
  Next,   // joins a SO_REUSEPORT group of ours, or overlaps with one, maybe one that is about to go
};

// A bound, non-blocking, CLOEXEC stream socket. EADDRINUSE names the process that has the address,
// as far as /proc tells. A stale unix socket file (nobody answers) is replaced; a live one, or a
// file that is no socket, is an error. `ours`: for the first one, processes that may have sockets
// there still, so that it is in use only by one that is seen to be none of them.
os::Result<os::UniqueFd> bind_stream_socket(const os::SocketAddress& address, GroupPlace place,
                                            const std::set<pid_t>& ours = {});

// The same for UDP; of an IP address. Bound to a wildcard address it tells with each datagram where
// that was sent to (IP_PKTINFO, IPV6_RECVPKTINFO).
os::Result<os::UniqueFd> bind_datagram_socket(const os::SocketAddress& address, GroupPlace place,
                                              const std::set<pid_t>& ours = {});

// What bind_datagram_socket() looks at for the first one, for who binds it later, when this process
// may not see any more whose processes have sockets there.
os::Result<void> refuse_datagram_stranger(const os::SocketAddress& address,
                                          const std::set<pid_t>& ours);

}  // namespace baton::proxy
