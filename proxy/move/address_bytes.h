// An address as it travels in a record: the bytes of its sockaddr.
// Thread: any; pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "shared/os/socket_address.h"

namespace baton::proxy {

std::string to_address_bytes(const os::SocketAddress& address);
// Nothing: it is no address.
std::optional<os::SocketAddress> from_address_bytes(std::string_view bytes);

}  // namespace baton::proxy
