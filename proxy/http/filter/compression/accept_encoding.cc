#include "proxy/http/filter/compression/accept_encoding.h"

#include <optional>
#include <string_view>

#include "proxy/http/codec/characters.h"

namespace baton::proxy::http {
namespace {

// In thousandths. RFC 9110 section 12.4.2: 0 to 1 with up to three decimals.
std::optional<int> parse_weight(std::string_view text) {
  if (text.empty() || (text[0] != '0' && text[0] != '1')) return std::nullopt;
  int weight = (text[0] - '0') * 1000;
  if (text.size() == 1) return weight;
  if (text[1] != '.' || text.size() > 5) return std::nullopt;
  int place = 100;
  for (const char c : text.substr(2)) {
    if (!is_digit(c)) return std::nullopt;
    weight += (c - '0') * place;
    place /= 10;
  }
  return weight <= 1000 ? std::optional(weight) : std::nullopt;
}

struct Preferences {
  std::optional<int> gzip;
  std::optional<int> identity;
  std::optional<int> any;

  // "gzip", "gzip;q=0.5", "*; q=0"
  void add(std::string_view part) {
    const std::size_t semicolon = part.find(';');
    const std::string_view coding = trim_blanks(part.substr(0, semicolon));
    std::optional<int> weight = 1000;
    if (semicolon != std::string_view::npos) {
      const std::string_view parameter = trim_blanks(part.substr(semicolon + 1));
      if (!equal_ignoring_case(parameter.substr(0, 2), "q=")) return;
      weight = parse_weight(parameter.substr(2));
    }
    if (!weight) return;
    if (equal_ignoring_case(coding, "gzip") || equal_ignoring_case(coding, "x-gzip")) {
      gzip = weight;
    } else if (equal_ignoring_case(coding, "identity")) {
      identity = weight;
    } else if (coding == "*") {
      any = weight;
    }
  }
};

}  // namespace

bool accepts_gzip(const HeaderMap& headers) {
  if (!headers.has(HeaderId::AcceptEncoding)) return false;
  Preferences preferences;
  for (const HeaderField& field : headers) {
    if (field.id() != HeaderId::AcceptEncoding) continue;
    std::string_view rest = field.value();
    while (!rest.empty()) {
      const std::size_t comma = rest.find(',');
      preferences.add(rest.substr(0, comma));
      rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
    }
  }
  const int gzip = preferences.gzip.value_or(preferences.any.value_or(0));
  return gzip > 0 && gzip >= preferences.identity.value_or(0);
}

}  // namespace baton::proxy::http
