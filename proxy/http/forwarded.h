// Who the client is when proxies stand in front of this one, and what the upstream is told of it in
// X-Forwarded-For, -Proto and -Host.
//
//   client ---> proxy A ---> proxy B ---> Baton (trusted_hops = 2: A and B)
//   X-Forwarded-For:  client  client, A   client, A, B   what A, B and Baton send on
//
// A client can write anything into these lines; only what the trusted proxies appended is believed.
// With no trusted hops everything the client says about it is replaced, so that an upstream that
// reads the first address of the list reads a true one, too.
// Thread: none; pure functions.
#pragma once

#include <string_view>

#include "proxy/http/codec/message_head.h"
#include "proxy/http/http_config.h"
#include "shared/os/socket_address.h"

namespace baton::proxy::http {

// The real client: the peer without trusted hops, else what the outermost trusted proxy saw: the
// trusted_hops-th address of the list from its end, with port 0 unless it has one. The list is too
// short, or there is no address at that place: somebody went around a proxy; the peer.
os::SocketAddress client_address(const RequestHead& head, const os::SocketAddress& peer,
                                 const ForwardedConfig& config);

// What the client has used to get here, for URLs that it is to use: what the outermost trusted
// proxy says of it, where that is one; else the request's target, if that is a URL (a scheme of
// "https" in either counts before "http"), and `scheme`, its Host.
std::string_view client_scheme(const RequestHead& head, std::string_view scheme,
                               const ForwardedConfig& config);
std::string_view client_authority(const RequestHead& head, const ForwardedConfig& config);

// X-Forwarded-For gets the peer at its end (a unix socket's has no address: nothing), -Proto is
// `scheme`, which outlives the head, and -Host the request's host, unless a trusted proxy has set
// them. Without trusted hops the received X-Forwarded-*, X-Real-IP and Forwarded lines go first;
// their lookalikes (X_Forwarded_For) always do.
void update_forwarded(RequestHead& head, const os::SocketAddress& peer, std::string_view scheme,
                      const ForwardedConfig& config);

}  // namespace baton::proxy::http
