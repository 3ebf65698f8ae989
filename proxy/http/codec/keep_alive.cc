#include "proxy/http/codec/keep_alive.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <system_error>

#include "proxy/http/codec/characters.h"

namespace baton::proxy::http {

std::optional<std::chrono::seconds> keep_alive_time(std::string_view value) {
  constexpr std::string_view kName = "timeout=";
  while (!value.empty()) {
    const std::size_t comma = std::min(value.find(','), value.size());
    std::string_view part = trim_blanks(value.substr(0, comma));
    value.remove_prefix(std::min(comma + 1, value.size()));
    if (!equal_ignoring_case(part.substr(0, kName.size()), kName)) continue;
    part.remove_prefix(kName.size());
    std::uint32_t seconds = 0;
    const auto [last, error] = std::from_chars(part.begin(), part.end(), seconds);
    if (error != std::errc() || last != part.end()) return std::nullopt;
    return std::chrono::seconds(seconds);
  }
  return std::nullopt;
}

}  // namespace baton::proxy::http
