// Durations as users write them: a number with a unit, "500ms", "30s", "10m", "1h".
#pragma once

#include <chrono>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

namespace baton::os {

// What parse_duration accepts, for error messages.
inline constexpr std::string_view kDurationSyntax =
    R"(a number with a unit: "500ms", "30s", "10m", "1h")";

// Whole or decimal number, then us, ms, s, m, h or d; "0" needs no unit. Rounded, but what is more
// than zero is a millisecond at least. Nothing: malformed, negative, or longer than 10 years.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

struct DurationRange {
  std::chrono::milliseconds least;
  std::chrono::milliseconds most;
};

// The same within a range. The error quotes the text and says what is allowed.
std::expected<std::chrono::milliseconds, std::string> parse_duration(std::string_view text,
                                                                     DurationRange range);

// The shortest exact form that parse_duration reads back: "1500ms", "30s", "10m".
std::string format_duration(std::chrono::milliseconds duration);

}  // namespace baton::os
