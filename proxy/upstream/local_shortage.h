// Whether an error of socket(2) or connect(2) is a shortage on this side, of descriptors, memory or
// local ports, and so says nothing about the peer. EAGAIN of a unix socket: the queue of the peer
// is full; it too may have room a moment later. Thread: any.
#pragma once

#include "shared/os/socket_address.h"

namespace baton::proxy {

// `peer`: where to. For EADDRNOTAVAIL another socket is made, to tell a want of ports from that of
// an address to connect from: then nothing leads to the peer, however long one waits.
bool is_local_shortage(int error, const os::SocketAddress& peer);

}  // namespace baton::proxy
