// A socket address as a configuration may have it: stricter than what os::SocketAddress can parse.
// Thread: any; no look-ups but those of interface names.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "shared/os/socket_address.h"

namespace baton::proxy {

// Unix paths must be absolute and come back in their normal form, so that equal addresses have
// equal text. The error is what is wrong, for a user.
std::expected<os::SocketAddress, std::string> parse_address_text(const std::string& text);

// "db.internal:5432", as opposed to a mistyped numeric address.
bool names_a_host(std::string_view text);

}  // namespace baton::proxy
