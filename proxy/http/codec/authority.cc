#include "proxy/http/codec/authority.h"

#include <arpa/inet.h>

#include <array>
#include <cstring>

#include "proxy/http/codec/characters.h"

namespace baton::proxy::http {
namespace {

constexpr auto kHostCharacters = [] {
  std::array<bool, 256> table{};
  for (char c = 0; c < 127; ++c) {
    table[static_cast<std::size_t>(c)] =
        is_alphanumeric(c) || c == '-' || c == '.' || c == '_' || c == '~';
  }
  return table;
}();

bool is_port(std::string_view text) {
  unsigned port = 0;
  for (const char c : text) {
    if (!is_digit(c)) return false;
    port = port * 10 + static_cast<unsigned>(c - '0');
    if (port > 65535) return false;
  }
  return !text.empty();
}

// "[...]"
bool is_ipv6_literal(std::string_view text) {
  if (text.size() < 4 || text.back() != ']') return false;
  text = text.substr(1, text.size() - 2);
  char address[INET6_ADDRSTRLEN];
  if (text.size() >= sizeof address || text.find('\0') != std::string_view::npos) return false;
  std::memcpy(address, text.data(), text.size());
  address[text.size()] = '\0';
  in6_addr parsed;
  return ::inet_pton(AF_INET6, address, &parsed) == 1;
}

// How many bytes of `text` are the host, were it well-formed.
std::size_t host_size(std::string_view text) {
  if (text.starts_with('[')) {
    const std::size_t bracket = text.find(']');
    return bracket == std::string_view::npos ? text.size() : bracket + 1;
  }
  std::size_t size = 0;
  while (size < text.size() && kHostCharacters[static_cast<unsigned char>(text[size])]) ++size;
  return size;
}

}  // namespace

bool is_authority(std::string_view text, PortRule port) {
  const std::size_t size = host_size(text);
  if (size == 0) return false;
  if (text[0] == '[' && !is_ipv6_literal(text.substr(0, size))) return false;
  if (size == text.size()) return port == PortRule::Optional;
  return text[size] == ':' && is_port(text.substr(size + 1));
}

std::string_view host_of(std::string_view authority) {
  return authority.substr(0, host_size(authority));
}

}  // namespace baton::proxy::http
