#include "shared/os/duration.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

namespace baton::os {
namespace {

struct Unit {
  std::string_view name;
  double milliseconds;
};
constexpr std::array<Unit, 6> kUnits{
    {{"us", 0.001}, {"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};
constexpr double kLongestMs = 10.0 * 365 * 86'400'000;

}  // namespace

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  if (text == "0") return std::chrono::milliseconds(0);
  double value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error != std::errc() || std::signbit(value)) return std::nullopt;
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  for (const Unit& known : kUnits) {
    if (known.name != unit) continue;
    const double milliseconds = value * known.milliseconds;
    if (!(milliseconds <= kLongestMs)) return std::nullopt;
    // Zero often means "none", which nobody means who writes more than zero.
    const long long least = milliseconds > 0 ? 1 : 0;
    return std::chrono::milliseconds(std::max(least, std::llround(milliseconds)));
  }
  return std::nullopt;
}

std::expected<std::chrono::milliseconds, std::string> parse_duration(std::string_view text,
                                                                     DurationRange range) {
  const auto value = parse_duration(text);
  if (value && *value >= range.least && *value <= range.most) return *value;
  const std::string limits = format_duration(range.least) + " to " + format_duration(range.most);
  std::string complaint = "\"" + std::string(text) + "\"";
  complaint += value
                   ? " is out of range; allowed: " + limits
                   : " is not a duration; allowed: " + std::string(kDurationSyntax) + "; " + limits;
  return std::unexpected(std::move(complaint));
}

std::string format_duration(std::chrono::milliseconds duration) {
  const long long ms = duration.count();
  constexpr std::array<std::pair<std::string_view, long long>, 4> kExact{
      {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1000}}};
  for (const auto& [name, factor] : kExact) {
    if (ms != 0 && ms % factor == 0) return std::to_string(ms / factor) + std::string(name);
  }
  return ms == 0 ? "0s" : std::to_string(ms) + "ms";
}

}  // namespace baton::os
