// Sizes as users write them: a whole number with a unit, "512B", "64KiB", "1GiB".
// Thread: any; pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace baton::proxy {

// What parse_byte_size accepts, for error messages.
inline constexpr std::string_view kByteSizeSyntax =
    R"(a whole number with a unit: "512B", "64KiB", "10MiB", "1GiB")";

// Nothing: malformed, negative, or more than 63 bits.
std::optional<std::uint64_t> parse_byte_size(std::string_view text);

}  // namespace baton::proxy
