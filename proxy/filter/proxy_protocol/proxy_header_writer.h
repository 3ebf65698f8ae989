// Writes the header of the PROXY protocol, version 2, for upstreams that want to know the client.
// Source: "The PROXY protocol, versions 1 & 2", haproxy.org, section 2.2.
// Thread: any; pure functions.
#pragma once

#include "proxy/network/buffer.h"
#include "shared/os/socket_address.h"

namespace baton::proxy {

// Appends the header of a connection from `client` to `local`, the address it was accepted at. When
// only one of them is IPv6, the other is written as IPv6, too. A `local` without IP address (a unix
// socket, behind a proxy that said who the client is) is written as the any-address of the client's
// family, port 0; of such a client the header is that of write_local_proxy_v2().
void write_proxy_v2(Buffer& out, const os::SocketAddress& client, const os::SocketAddress& local);

// Appends the header of a connection that the proxy makes for itself, like a health check's.
void write_local_proxy_v2(Buffer& out);

}  // namespace baton::proxy
