// Reads "HTTP/1.1 200 reason CRLF".
// Thread: none; a pure function.
// Source: RFC 9112 section 4. "HTTP/1.1 200 CRLF" is taken as well: servers without reasons forget
// the space that should stay.
#pragma once

#include "proxy/http/codec/field_line.h"
#include "proxy/http/codec/message_head.h"

namespace baton::proxy::http {

// Sets version, status and reason. [begin, end) starts at the line.
LineEnd read_status_line(const char* begin, const char* end, ResponseHead& head);

}  // namespace baton::proxy::http
