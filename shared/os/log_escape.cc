#include "shared/os/log_escape.h"

#include <cstddef>
#include <cstdint>

namespace baton::log {
namespace {

constexpr char kHexDigits[] = "0123456789abcdef";

// May stand in both kinds of text.
constexpr bool is_plain(char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; }

// Appends the plain characters at the front and removes them.
void take_plain(std::string& out, std::string_view& text) {
  std::size_t size = 0;
  while (size < text.size() && is_plain(text[size])) ++size;
  out.append(text.substr(0, size));
  text.remove_prefix(size);
}

void append_hex(std::string& out, std::string_view prefix, char c) {
  const auto byte = static_cast<unsigned char>(c);
  out.append(prefix);
  out += kHexDigits[byte >> 4];
  out += kHexDigits[byte & 15];
}

constexpr bool is_between(char c, unsigned least, unsigned most) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= least && byte <= most;
}

// The length of the character beyond ASCII at the front; 0: it is not well-formed (Unicode 15,
// table 3-7).
std::size_t utf8_length(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  const std::size_t length = first >= 0xc2 && first <= 0xdf   ? 2
                             : first >= 0xe0 && first <= 0xef ? 3
                             : first >= 0xf0 && first <= 0xf4 ? 4
                                                              : 0;
  if (length == 0 || text.size() < length) return 0;
  const unsigned least = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  const unsigned most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  if (!is_between(text[1], least, most)) return 0;
  for (const char c : text.substr(2, length - 2)) {
    if (!is_between(c, 0x80, 0xbf)) return 0;
  }
  return length;
}

}  // namespace

void append_text_escaped(std::string& out, std::string_view text) {
  for (take_plain(out, text); !text.empty(); take_plain(out, text)) {
    append_hex(out, "\\x", text.front());
    text.remove_prefix(1);
  }
}

void append_json_escaped(std::string& out, std::string_view text) {
  for (take_plain(out, text); !text.empty(); take_plain(out, text)) {
    const char c = text.front();
    std::size_t length = 1;
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (is_between(c, 0, 0x7f)) {
      append_hex(out, "\\u00", c);
    } else if (length = utf8_length(text); length != 0) {
      out.append(text.substr(0, length));
    } else {
      out.append("\\ufffd");
      length = 1;
    }
    text.remove_prefix(length);
  }
}

}  // namespace baton::log
