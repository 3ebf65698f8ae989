// Names a set of listening sockets: what makes two of them "the same" across generations.
// Thread: any; pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "proto/types.pb.h"
#include "shared/os/error.h"
#include "shared/os/socket_address.h"

namespace baton::proto {

// The key of a stream listener on `address`: TCP sockets are SO_REUSEPORT, v6 ones v6-only.
SocketKey stream_key(const os::SocketAddress& address);
// The same of a UDP listener; only of an IP address.
SocketKey datagram_key(const os::SocketAddress& address);

// The key of the wildcard address of the same family, port, type and options: the kernel prefers a
// socket of the narrower address, and gives its clients to one of the wildcard when there is none.
// Nothing: it is of a wildcard address, or of no IP address.
std::optional<SocketKey> wildcard_of(const SocketKey& key);

// What a listener has to look like to ask for this socket; fails for one of a kind that listeners
// do not have.
os::Result<SocketKey> key_of_socket(int fd);

// One text a key, equal exactly for equal keys: for maps. "stream 127.0.0.1:80 reuseport".
std::string identity(const SocketKey& key);

// Checks that a descriptor a peer sent is what the key says: domain, type, bound address, v6-only
// and reuseport options. A peer's claim is never taken on trust.
os::Result<void> verify_socket(int fd, const SocketKey& key);

}  // namespace baton::proto
