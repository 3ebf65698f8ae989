#include "proxy/config/http_text.h"

#include <algorithm>
#include <string>

#include "proxy/config/in_quotes.h"
#include "proxy/http/codec/authority.h"
#include "proxy/http/codec/characters.h"
#include "proxy/http/codec/header_field.h"

namespace baton::proxy {
namespace {

// The string at `key` if it is good; else what is wrong with it has been recorded.
template <class IsGood>
std::optional<std::string> read_checked(TableReader& section, std::string_view key, IsGood is_good,
                                        std::string_view mistake) {
  auto text = section.string(key);
  if (!text || is_good(*text)) return text;
  section.error(key, in_quotes(*text) + " " + std::string(mistake));
  return std::nullopt;
}

}  // namespace

bool is_path(std::string_view text, Query query) {
  return text.starts_with('/') && std::ranges::all_of(text, http::is_target_character) &&
         (query == Query::Allowed || text.find('?') == text.npos);
}

std::optional<std::string> read_path(TableReader& section, std::string_view key, Query query) {
  return read_checked(
      section, key, [query](std::string_view text) { return is_path(text, query); },
      query == Query::Allowed
          ? R"(is not a path; allowed: "/path" or "/path?query", percent-encoded)"
          : R"(is not a path; allowed: "/path", percent-encoded, without a query)");
}

std::optional<std::string> read_authority(TableReader& section, std::string_view key) {
  return read_checked(
      section, key,
      [](std::string_view text) { return http::is_authority(text, http::PortRule::Optional); },
      R"(is not a host; allowed: "example.com", "example.com:8080", "[::1]:80")");
}

std::optional<std::string> read_header_name(TableReader& section, std::string_view key) {
  return read_checked(
      section, key,
      [](std::string_view text) {
        return http::is_token(text) && text.size() <= http::HeaderField::kMaxNameBytes;
      },
      "is not a name; allowed: letters, digits and any of !#$%&'*+-.^_`|~");
}

std::optional<std::string> read_header_value(TableReader& section, std::string_view key) {
  return read_checked(section, key, http::is_value,
                      "has a control character; allowed: one line of text");
}

std::optional<http::Regex> read_regex(TableReader& section, std::string_view key) {
  const auto text = section.string(key);
  if (!text) return std::nullopt;
  auto regex = http::Regex::compile(*text);
  if (!regex) {
    section.error(key, in_quotes(*text) + " is not a regular expression: " +
                           one_line(regex.error()) + "; allowed: RE2's syntax");
    return std::nullopt;
  }
  return *std::move(regex);
}

}  // namespace baton::proxy
