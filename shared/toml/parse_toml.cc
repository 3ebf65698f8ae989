#include "shared/toml/parse_toml.h"

#include <algorithm>
#include <utility>

#include "shared/toml/key_depth.h"

namespace baton {

std::expected<toml::table, TomlError> parse_toml(std::string_view bytes) {
  if (const auto line = line_of_too_deep_key(bytes)) {
    return std::unexpected(TomlError{
        .line = *line,
        .message = "keys nest too deeply; allowed: " + std::to_string(kMostDots) + " dots",
    });
  }
  toml::parse_result result = toml::parse(bytes);
  if (result) return std::move(result).table();
  const toml::parse_error& error = result.error();
  return std::unexpected(TomlError{
      .line = std::max(error.source().begin.line, 1U),
      .column = std::max(error.source().begin.column, 1U),
      .message = std::string(error.description()),
  });
}

}  // namespace baton
