#include "proxy/config/endpoint_text.h"

#include <algorithm>
#include <charconv>

#include "proxy/config/address_text.h"
#include "proxy/config/in_quotes.h"

namespace baton::proxy {
namespace {

constexpr std::string_view kServicePrefix = "srv:";
constexpr std::size_t kLongestName = 253;  // RFC 1035, section 2.3.4, as text
constexpr std::size_t kLongestLabel = 63;

// Letters, digits, hyphens and, as service names need them, underscores.
bool is_domain_name(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.empty() || name.size() > kLongestName) return false;
  while (true) {
    const std::size_t dot = name.find('.');
    const std::string_view label = name.substr(0, dot);
    if (label.empty() || label.size() > kLongestLabel) return false;
    const bool good = std::ranges::all_of(label, [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             c == '-' || c == '_';
    });
    if (!good) return false;
    if (dot == std::string_view::npos) return true;
    name.remove_prefix(dot + 1);
  }
}

std::unexpected<std::string> bad_name(const std::string& text) {
  return std::unexpected(in_quotes(text) + " is not a domain name");
}

}  // namespace

std::expected<EndpointConfig, std::string> parse_endpoint_text(const std::string& text) {
  if (text.starts_with(kServicePrefix)) {
    EndpointConfig service{.kind = EndpointKind::Service,
                           .host = text.substr(kServicePrefix.size())};
    if (!is_domain_name(service.host)) return bad_name(text);
    return service;
  }
  if (names_a_host(text)) {
    const std::size_t colon = text.rfind(':');
    EndpointConfig host{.kind = EndpointKind::Host, .host = text.substr(0, colon)};
    if (!is_domain_name(host.host)) return bad_name(text);
    const char* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data() + colon + 1, end, host.port);
    if (error != std::errc() || rest != end || host.port == 0) {
      return std::unexpected(in_quotes(text) + " has no port from 1 to 65535");
    }
    return host;
  }
  const auto address = parse_address_text(text);
  if (!address) return std::unexpected(address.error());
  if (!address->is_unix() && address->port() == 0) {
    return std::unexpected("nothing can be reached on port 0");
  }
  return EndpointConfig{.address = *address};
}

}  // namespace baton::proxy
