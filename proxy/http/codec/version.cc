#include "proxy/http/codec/version.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "proxy/http/codec/characters.h"

namespace baton::proxy::http {
namespace {

constexpr std::string_view kPattern = "HTTP/#.#";  // '#' is any digit

bool fits(char c, char pattern) { return pattern == '#' ? is_digit(c) : c == pattern; }

}  // namespace

LineEnd read_version(const char* begin, const char* end, Version& version) {
  const auto size = static_cast<std::size_t>(end - begin);
  if (size >= kPattern.size() && std::memcmp(begin, "HTTP/1.1", kPattern.size()) == 0) {
    version = Version::Http11;
    return {begin + kPattern.size(), nullptr};
  }
  for (std::size_t i = 0; i < std::min(size, kPattern.size()); ++i) {
    if (!fits(begin[i], kPattern[i])) return LineEnd::reject(kBadVersion);
  }
  if (size < kPattern.size()) return LineEnd::need_more();
  if (begin[5] != '1' || begin[7] != '0') return LineEnd::reject(kUnsupportedVersion);
  version = Version::Http10;
  return {begin + kPattern.size(), nullptr};
}

}  // namespace baton::proxy::http
