// The reason phrases of RFC 9110 section 15.
// Thread: none; constants.
#pragma once

#include <cstdint>
#include <string_view>

namespace baton::proxy::http {

// Empty for a status without a name.
std::string_view status_reason(std::uint16_t status);

}  // namespace baton::proxy::http
