// Lists of words in header lines: "Vary: accept, origin" (RFC 9110 section 5.6.1).
// Thread: any; pure functions.
#pragma once

#include <string_view>

#include "proxy/http/codec/header_map.h"

namespace baton::proxy::http {

// Whether any line of that name has the word among its elements, in any case. For lists whose
// elements may be quoted strings this may see a word in one of them: only ask where that does no
// harm.
bool list_contains(const HeaderMap& headers, HeaderId id, std::string_view word);

}  // namespace baton::proxy::http
