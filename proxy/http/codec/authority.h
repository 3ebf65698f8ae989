// host[:port], as in the Host header and in request targets.
// Thread: none; pure functions.
// Source: RFC 3986 section 3.2, narrowed to what hosts are made of: letters, digits, '-', '.', '_',
// '~', or an IPv6 address in brackets. Percent-encoding, userinfo, sub-delimiters and an empty host
// or port are refused, because others read them in more than one way.
#pragma once

#include <string_view>

namespace baton::proxy::http {

enum class PortRule { Optional, Required };

bool is_authority(std::string_view text, PortRule port);

// Without the port; an IPv6 address keeps its brackets. Precondition: is_authority(text).
std::string_view host_of(std::string_view authority);

}  // namespace baton::proxy::http
