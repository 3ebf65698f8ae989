#include "proxy/filter/proxy_protocol/proxy_header_parser.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <charconv>
#include <cstring>
#include <optional>
#include <string>

#include "proxy/filter/proxy_protocol/proxy_header_v2.h"

namespace baton::proxy {
namespace {

using Status = ProxyHeader::Status;

constexpr std::string_view kPrefix = "PROXY ";
constexpr std::size_t kLongestLine = 107;  // with its CRLF

ProxyHeader wrong() { return {.status = Status::Wrong}; }
ProxyHeader unnamed(std::size_t size) { return {.status = Status::Complete, .size = size}; }
ProxyHeader named(std::size_t size, const os::SocketAddress& client) {
  return {.status = Status::Complete, .size = size, .names_client = true, .client = client};
}

os::SocketAddress address_of(const sockaddr_in& v4) {
  return os::SocketAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(&v4), sizeof v4);
}
os::SocketAddress address_of(const sockaddr_in6& v6) {
  return os::SocketAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(&v6), sizeof v6);
}

// The next word of a line, up to a single space or the end.
std::string_view take_word(std::string_view& line) {
  const std::size_t space = line.find(' ');
  const std::string_view word = line.substr(0, space);
  line.remove_prefix(space == std::string_view::npos ? line.size() : space + 1);
  return word;
}

std::optional<in_port_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, port);
  if (error != std::errc() || end != last || (text.size() > 1 && text[0] == '0')) {
    return std::nullopt;
  }
  return htons(port);
}

// inet_pton() takes what the protocol asks for, and no port, scope or spaces.
template <class Address>
bool parse_host(int family, std::string_view text, Address& address) {
  if (text.find('\0') != std::string_view::npos) return false;
  return ::inet_pton(family, std::string(text).c_str(), &address) == 1;
}

// The line behind "PROXY ", without its CRLF.
ProxyHeader parse_line(std::string_view line, std::size_t size) {
  const bool trailing_space = line.ends_with(' ');
  const std::string_view protocol = take_word(line);
  // What follows is to be ignored.
  if (protocol == "UNKNOWN") return unnamed(size);
  if ((protocol != "TCP4" && protocol != "TCP6") || trailing_space) return wrong();
  const std::string_view source = take_word(line);
  const std::string_view destination = take_word(line);
  const auto source_port = parse_port(take_word(line));
  const auto destination_port = parse_port(take_word(line));
  if (!line.empty() || !source_port || !destination_port) return wrong();
  if (protocol == "TCP4") {
    sockaddr_in v4{.sin_family = AF_INET, .sin_port = *source_port};
    in_addr ignored{};
    const bool good =
        parse_host(AF_INET, source, v4.sin_addr) && parse_host(AF_INET, destination, ignored);
    return good ? named(size, address_of(v4)) : wrong();
  }
  sockaddr_in6 v6{.sin6_family = AF_INET6, .sin6_port = *source_port};
  in6_addr ignored{};
  const bool good =
      parse_host(AF_INET6, source, v6.sin6_addr) && parse_host(AF_INET6, destination, ignored);
  return good ? named(size, address_of(v6)) : wrong();
}

ProxyHeader parse_v1(std::string_view bytes) {
  const std::string_view window = bytes.substr(0, kLongestLine);
  const std::size_t cr = window.find('\r');
  const std::string_view before = window.substr(0, cr);
  // A line that nobody may have meant as one: better said at once than at the time limit.
  if (before.find('\n') != std::string_view::npos) return wrong();
  if (cr == std::string_view::npos || cr + 1 == window.size()) {
    return window.size() == kLongestLine ? wrong() : ProxyHeader{};
  }
  if (window[cr + 1] != '\n') return wrong();
  return parse_line(before.substr(kPrefix.size()), cr + 2);
}

template <class Value>
Value read_as(const char* at) {
  Value value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

// A path that fills its 108 bytes has no NUL at its end.
os::SocketAddress unix_address(std::string_view path) {
  sockaddr_un address{.sun_family = AF_UNIX};
  static_assert(sizeof address.sun_path == kUnixPathBytes);
  std::memcpy(address.sun_path, path.data(), path.size());
  const std::size_t used = path.find_last_not_of('\0') + 1;
  return os::SocketAddress::from_sockaddr(
      reinterpret_cast<const sockaddr*>(&address),
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + used));
}

// `addresses`: as many bytes as the family has, in network order. Datagrams have clients, too.
os::SocketAddress source_of(ProxyFamily family, std::string_view addresses) {
  const char* const at = addresses.data();
  if (family == ProxyFamily::Inet) {
    return address_of(sockaddr_in{.sin_family = AF_INET,
                                  .sin_port = read_as<in_port_t>(at + 8),
                                  .sin_addr = read_as<in_addr>(at)});
  }
  if (family == ProxyFamily::Inet6) {
    return address_of(sockaddr_in6{.sin6_family = AF_INET6,
                                   .sin6_port = read_as<in_port_t>(at + 32),
                                   .sin6_addr = read_as<in6_addr>(at)});
  }
  return unix_address(addresses.substr(0, kUnixPathBytes));
}

ProxyHeader parse_v2(std::string_view bytes) {
  if (bytes.size() < kProxyV2FixedBytes) return {};
  const auto version_command = static_cast<std::uint8_t>(bytes[12]);
  const auto family_transport = static_cast<std::uint8_t>(bytes[13]);
  const std::size_t length = ntohs(read_as<std::uint16_t>(bytes.data() + 14));
  const std::size_t size = kProxyV2FixedBytes + length;
  if (version_command == kProxyV2Local) return unnamed(size);
  if (version_command != kProxyV2Proxy) return wrong();
  if (family_transport == 0) return unnamed(size);
  const unsigned family_bits = family_transport >> 4U;
  const unsigned transport = family_transport & 0xfU;
  if (family_bits < 1 || family_bits > 3 || transport < 1 || transport > 2) return wrong();
  const auto family = static_cast<ProxyFamily>(family_bits);
  const std::size_t needed = address_bytes(family);
  if (length < needed) return wrong();
  if (bytes.size() < kProxyV2FixedBytes + needed) return {};
  return named(size, source_of(family, bytes.substr(kProxyV2FixedBytes, needed)));
}

// Whether `bytes` and `expected` are the same as far as there are bytes.
bool may_begin_with(std::string_view bytes, std::string_view expected) {
  return bytes.substr(0, expected.size()) == expected.substr(0, bytes.size());
}

}  // namespace

ProxyHeader parse_proxy_header(std::string_view bytes) {
  if (bytes.empty()) return {};
  if (may_begin_with(bytes, kProxyV2Signature)) return parse_v2(bytes);
  if (!may_begin_with(bytes, kPrefix)) return {.status = Status::Absent};
  return bytes.size() < kPrefix.size() ? ProxyHeader{} : parse_v1(bytes);
}

}  // namespace baton::proxy
