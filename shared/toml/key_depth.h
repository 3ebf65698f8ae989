// Bounds how deeply the dotted keys of a file nest, before the file is parsed: the TOML library
// bounds nested values, but not dotted keys, and frees what it has parsed recursively, so that a
// long enough `a.a.a.a...` would exhaust the stack.
// Thread: any; pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace baton {

inline constexpr std::uint32_t kMostDots = 256;

// The line on which one statement (a table's head, or a key with its whole value) has more than
// kMostDots dots outside strings; nothing when none has. Invalid TOML is as good as valid.
std::optional<std::uint32_t> line_of_too_deep_key(std::string_view toml);

}  // namespace baton
