#include "proxy/config/byte_size.h"

#include <array>
#include <charconv>

namespace baton::proxy {
namespace {

struct Unit {
  std::string_view name;
  unsigned shift;
};
constexpr std::array<Unit, 5> kUnits{
    {{"B", 0}, {"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}}};

}  // namespace

std::optional<std::uint64_t> parse_byte_size(std::string_view text) {
  std::uint64_t value = 0;
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, value);
  if (error != std::errc()) return std::nullopt;
  const std::string_view unit(end, static_cast<std::size_t>(last - end));
  if (unit.empty() && value == 0) return 0;
  for (const Unit& known : kUnits) {
    if (known.name != unit) continue;
    if (value > (std::uint64_t{INT64_MAX} >> known.shift)) return std::nullopt;
    return value << known.shift;
  }
  return std::nullopt;
}

}  // namespace baton::proxy
