// What an endpoint may be called: an address, a host with a port, or a service in DNS.
// Thread: any; pure but for the names of interfaces.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "proxy/config/config.h"

namespace baton::proxy {

inline constexpr std::string_view kEndpointTextSyntax =
    R"("127.0.0.1:80", "[::1]:80", "unix:/path", "unix:@abstract", "host.name:80" or )"
    R"("srv:_service._tcp.host.name")";

// The error is what is wrong, for a user.
std::expected<EndpointConfig, std::string> parse_endpoint_text(const std::string& text);

}  // namespace baton::proxy
