// What a client says about the codings it understands (RFC 9110 section 12.5.3).
// Thread: any; pure functions.
#pragma once

#include "proxy/http/codec/header_map.h"

namespace baton::proxy::http {

// Whether a response may be sent in gzip, and the client does not prefer it plain. Without
// Accept-Encoding: no. A part that cannot be read counts as not there.
bool accepts_gzip(const HeaderMap& headers);

}  // namespace baton::proxy::http
