// Reads "METHOD target HTTP/1.1 CRLF".
// Thread: none; a pure function.
// Source: RFC 9112 section 3; section 3.2 for the four forms of a target. One space separates, the
// form belongs to the method, and there is no fragment.
#pragma once

#include "proxy/http/codec/field_line.h"
#include "proxy/http/codec/message_head.h"

namespace baton::proxy::http {

// Sets version, method, method_name, target and path, and authority when the target has one.
// [begin, end) starts at the line.
LineEnd read_request_line(const char* begin, const char* end, RequestHead& head);

}  // namespace baton::proxy::http
