// The Connection header: what the sender wants of the connection, and which lines were for us only.
// Thread: none; pure functions.
// Source: RFC 9110 section 7.6.1, RFC 9112 section 9.
//
// A line is removed because Connection names it only when its name is none of HeaderId: otherwise a
// client could strip Host, Cookie, X-Forwarded-For and the like of what a proxy before us has put
// there.
#pragma once

#include "proxy/http/codec/message_head.h"

namespace baton::proxy::http {

// More options than this are refused: each costs a walk over the header lines.
inline constexpr unsigned kMaxConnectionOptions = 64;

// Sets persistence and upgrade, removes nominated lines. False: malformed.
bool apply_connection_options(MessageHead& head);

// The same for what comes behind the body: of `options`, the value of a well-formed Connection.
void remove_nominated(HeaderMap& trailers, std::string_view options);

}  // namespace baton::proxy::http
