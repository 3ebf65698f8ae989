// Reads Content-Length and Transfer-Encoding, for both kinds of messages.
// Thread: none; a pure function.
// Source: RFC 9112 section 6, without the choices it leaves: a message whose end two readers could
// see in different places is refused.
#pragma once

#include "proxy/http/codec/message_head.h"
#include "proxy/http/codec/rejection.h"

namespace baton::proxy::http {

// Sets framing to Length, Chunked, or None when neither header is there. Null when all is well.
const Rejection* read_framing_headers(MessageHead& head);

}  // namespace baton::proxy::http
