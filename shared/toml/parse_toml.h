// Parses a TOML document that may hold anything: the only way to the TOML library's parser, which
// by itself can be made to abort or to exhaust the stack. Source: toml.io/en/v1.0.0. Thread: any;
// pure. Include it in .cc files only: the library's header is a large one.
#pragma once

#include <toml++/toml.h>

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace baton {

struct TomlError {
  std::uint32_t line = 1;
  std::uint32_t column = 1;
  std::string message;
};

// The first syntax error, or the table. Never throws but for want of memory.
std::expected<toml::table, TomlError> parse_toml(std::string_view bytes);

}  // namespace baton
