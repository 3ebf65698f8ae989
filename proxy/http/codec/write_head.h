// Writes heads. The one place that says where a forwarded message ends and which host it is for:
// both come from the head's members, never from received lines, so there is one reading of them.
//
// Written in HTTP/1.1, with the received lines in their order except Host (first in requests),
// Content-Length, Transfer-Encoding and hop-by-hop lines (kHopByHop), which are made anew.
// Thread: none. Appends to a buffer with one reservation.
// Source: RFC 9112 sections 3, 4 and 6, RFC 9110 section 7.6.
#pragma once

#include <cstdint>

#include "proxy/http/codec/message_head.h"
#include "proxy/network/buffer.h"

namespace baton::proxy::http {

// The Connection line to write. HTTP/1.1 needs none to keep a connection; a client of HTTP/1.0 that
// asked for it needs KeepAlive. Upgrade writes head.upgrade, too, which must not be empty.
enum class ConnectionLine : std::uint8_t { None, Close, KeepAlive, Upgrade };

// path, authority, method_name, framing and content_length of the head are what is written.
// framing is None, Length or Chunked.
void write_request_head(Buffer& out, const RequestHead& head, ConnectionLine connection);

// Framing None keeps a Content-Length line, which tells of another response (HEAD, 304), except for
// 1xx and 204. A 426 keeps its Upgrade line, whatever else is said of the connection. A client of
// HTTP/1.0 must not be sent Chunked: make it UntilClose, with Close.
void write_response_head(Buffer& out, const ResponseHead& head, ConnectionLine connection);

}  // namespace baton::proxy::http
