// Reads "HTTP/1.1".
// Thread: none; a pure function.
// Source: RFC 9112 section 2.3. Upper case, one digit, a dot, one digit.
#pragma once

#include "proxy/http/codec/field_line.h"
#include "proxy/http/codec/message_head.h"

namespace baton::proxy::http {

// `next` is the byte behind the version, which need not end the line.
LineEnd read_version(const char* begin, const char* end, Version& version);

}  // namespace baton::proxy::http
