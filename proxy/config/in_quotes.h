// User text in an error line: whatever a file holds, the line stays one line and of bounded length.
// Thread: any; pure functions.
#pragma once

#include <string>
#include <string_view>

namespace baton::proxy {

// In double quotes, control characters escaped, cut after kLongestQuote bytes: "abc...".
inline constexpr std::size_t kLongestQuote = 64;
std::string in_quotes(std::string_view text);

// Without quotes, cut after kLongestLine bytes; for text that quotes the user's in turn.
inline constexpr std::size_t kLongestLine = 256;
std::string one_line(std::string_view text);

}  // namespace baton::proxy
