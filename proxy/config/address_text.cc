#include "proxy/config/address_text.h"

#include <algorithm>
#include <filesystem>

#include "proxy/config/in_quotes.h"

namespace baton::proxy {
bool names_a_host(std::string_view text) {
  if (text.starts_with("unix:")) return false;
  const std::string_view host = text.substr(0, text.rfind(':'));
  const bool letter = std::ranges::any_of(
      host, [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); });
  return letter && host.size() < text.size() &&
         host.find_first_of(":[]/@ ") == std::string_view::npos;
}

std::expected<os::SocketAddress, std::string> parse_address_text(const std::string& text) {
  // inet_pton() would stop at it.
  if (text.find('\0') != std::string::npos) {
    return std::unexpected(in_quotes(text) + " contains NUL");
  }
  auto address = os::SocketAddress::parse(text);
  if (!address && names_a_host(text)) {
    return std::unexpected(in_quotes(text) + " names a host, which only an endpoint may");
  }
  if (!address) {
    // "no port in" and "not an IPv6 address:" were made to have the text behind them.
    std::string_view reason = address.error().operation;
    for (const std::string_view tail : {" in", ":"}) {
      if (reason.ends_with(tail)) reason.remove_suffix(tail.size());
    }
    return std::unexpected(in_quotes(text) + " is not an address: " + one_line(reason));
  }
  if (!address->is_unix_path()) return *address;
  const std::filesystem::path path = address->unix_path();
  if (!path.is_absolute()) return std::unexpected(in_quotes(text) + " is a relative path");
  // Shorter than what has just been accepted, so it is accepted too.
  return os::SocketAddress::parse("unix:" + path.lexically_normal().string()).value_or(*address);
}

}  // namespace baton::proxy
