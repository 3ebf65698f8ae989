#include "shared/toml/key_depth.h"

#include <algorithm>
#include <string>

namespace baton {
namespace {

// One past the string that opens at `begin`. A string that is not closed ends at the end of its
// line, or of the file when it may span lines.
std::size_t end_of_string(std::string_view toml, std::size_t begin) {
  const char quote = toml[begin];
  const bool multi_line = toml.substr(begin, 3) == std::string(3, quote);
  const std::size_t width = multi_line ? 3 : 1;
  std::size_t at = begin + width;
  while (at < toml.size()) {
    if (toml[at] == '\n' && !multi_line) return at;
    if (toml[at] == '\\' && quote == '"') {
      at += 2;
    } else if (toml[at] != quote) {
      ++at;
    } else if (!multi_line) {
      return at + 1;
    } else {
      // Up to two quotes right before the closing three belong to the string.
      const std::size_t after = std::min(toml.find_first_not_of(quote, at), toml.size());
      if (after - at >= 3) return std::min(after, at + 5);
      at = after;
    }
  }
  return toml.size();
}

}  // namespace

std::optional<std::uint32_t> line_of_too_deep_key(std::string_view toml) {
  std::uint32_t line = 1;
  std::uint32_t dots = 0;
  std::int64_t brackets = 0;
  for (std::size_t at = 0; at < toml.size();) {
    switch (toml[at]) {
      case '#':
        at = std::min(toml.find('\n', at), toml.size());
        continue;
      case '"':
      case '\'': {
        const std::size_t end = end_of_string(toml, at);
        line += static_cast<std::uint32_t>(
            std::count(toml.begin() + static_cast<std::ptrdiff_t>(at),
                       toml.begin() + static_cast<std::ptrdiff_t>(end), '\n'));
        at = end;
        continue;
      }
      case '\n':
        ++line;
        if (brackets <= 0) dots = 0;
        break;
      case '[':
      case '{':
        ++brackets;
        break;
      case ']':
      case '}':
        --brackets;
        break;
      case '.':
        if (++dots > kMostDots) return line;
        break;
      default:
        break;
    }
    ++at;
  }
  return std::nullopt;
}

}  // namespace baton
