#include "shared/os/socket_address.h"

#include <arpa/inet.h>
#include <net/if.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstring>

namespace baton::os {
namespace {

constexpr std::size_t kPathOffset = offsetof(sockaddr_un, sun_path);

Result<std::uint16_t> parse_port(std::string_view text, std::string_view whole) {
  unsigned port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || text.empty() || port > 65535) {
    return plain_error("the port must be a number from 0 to 65535 in", std::string(whole));
  }
  return static_cast<std::uint16_t>(port);
}

// "0." to "255.": what a byte of an IPv4 address is written as.
struct ByteText {
  std::array<char, 4> text;
  std::uint8_t size;
};

constexpr auto kByteTexts = [] {
  std::array<ByteText, 256> texts{};
  for (int byte = 0; byte < 256; ++byte) {
    ByteText& each = texts[static_cast<std::size_t>(byte)];
    for (int unit = 100; unit > 0; unit /= 10) {
      if (byte < unit && unit > 1) continue;
      each.text[each.size++] = static_cast<char>('0' + byte / unit % 10);
    }
    each.text[each.size++] = '.';
  }
  return texts;
}();

// inet_ntop(3) goes through printf, which is felt where each request names its client.
std::string v4_text(const void* address) {
  std::array<std::uint8_t, 4> bytes;
  std::memcpy(bytes.data(), address, bytes.size());
  std::array<char, bytes.size() * sizeof(ByteText::text)> text;
  char* end = text.data();
  for (const std::uint8_t byte : bytes) {
    const ByteText& part = kByteTexts[byte];
    std::memcpy(end, part.text.data(), part.text.size());
    end += part.size;
  }
  return {text.data(), end - 1};
}

// The kernel forgets the scope of all others: getsockname(2) would not give it back. RFC 4007.
bool has_scope(const in6_addr& address) {
  return IN6_IS_ADDR_LINKLOCAL(&address) || IN6_IS_ADDR_MC_LINKLOCAL(&address) ||
         IN6_IS_ADDR_MC_NODELOCAL(&address);
}

}  // namespace

Result<SocketAddress> SocketAddress::parse(std::string_view text) {
  SocketAddress result;
  const std::string whole(text);
  if (text.find('\0') != std::string_view::npos) return plain_error("NUL in", whole);
  if (text.starts_with("unix:")) {
    const std::string_view path = text.substr(5);
    sockaddr_un address{};
    if (path.empty() || path == "@") return plain_error("no path in", whole);
    if (path.size() >= sizeof address.sun_path) {
      return plain_error("path longer than 107 bytes in", whole);
    }
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    const bool abstract = path.front() == '@';
    if (abstract) address.sun_path[0] = '\0';
    result.assign(reinterpret_cast<const sockaddr*>(&address),
                  static_cast<socklen_t>(kPathOffset + path.size() + (abstract ? 0 : 1)));
    return result;
  }
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return plain_error("no port in", whole);
  const auto port = parse_port(text.substr(colon + 1), text);
  if (!port) return std::unexpected(port.error());
  std::string host(text.substr(0, colon));
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
    sockaddr_in6& address = result.short_.v6;
    if (const std::size_t percent = host.find('%'); percent != std::string::npos) {
      address.sin6_scope_id = ::if_nametoindex(host.c_str() + percent + 1);
      if (address.sin6_scope_id == 0) return plain_error("unknown interface in", whole);
      host.resize(percent);
    }
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(*port);
    if (::inet_pton(AF_INET6, host.c_str(), &address.sin6_addr) != 1) {
      return plain_error("not an IPv6 address:", whole);
    }
    if (!has_scope(address.sin6_addr)) address.sin6_scope_id = 0;
    result.length_ = sizeof address;
    return result;
  }
  if (host.find(':') != std::string::npos) {
    return plain_error("an IPv6 address needs brackets, [" + host + "]:", whole);
  }
  sockaddr_in& address = result.short_.v4;
  address.sin_family = AF_INET;
  address.sin_port = htons(*port);
  if (::inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) {
    return plain_error("not a numeric address (host names are not looked up):", whole);
  }
  result.length_ = sizeof address;
  return result;
}

void SocketAddress::assign(const sockaddr* address, socklen_t length) {
  length_ = std::min(length, static_cast<socklen_t>(sizeof(sockaddr_un)));
  path_ = length_ > sizeof short_ ? std::make_unique<sockaddr_un>() : nullptr;
  short_ = {};
  std::memcpy(&short_, address, std::min(static_cast<std::size_t>(length_), sizeof short_));
  if (path_) std::memcpy(path_.get(), address, length_);
}

SocketAddress SocketAddress::from_sockaddr(const sockaddr* address, socklen_t length) {
  SocketAddress result;
  result.assign(address, length);
  return result;
}

Result<SocketAddress> SocketAddress::of_socket(int fd) {
  sockaddr_un longest{};
  socklen_t length = sizeof longest;
  auto* const address = reinterpret_cast<sockaddr*>(&longest);
  if (::getsockname(fd, address, &length) != 0) return errno_error("getsockname");
  return from_sockaddr(address, length);
}

std::string_view SocketAddress::unix_name() const {
  if (!is_unix() || length_ <= kPathOffset) return {};
  return {reinterpret_cast<const char*>(data()) + kPathOffset, length_ - kPathOffset};
}

bool SocketAddress::is_unix_path() const { return !unix_name().empty() && unix_name()[0] != '\0'; }

std::string SocketAddress::unix_path() const {
  if (!is_unix_path()) return {};
  // A path of 108 bytes, which others may have bound, has no NUL at its end: unix(7).
  return std::string(unix_name().substr(0, unix_name().find('\0')));
}

std::uint16_t SocketAddress::port() const {
  if (family() == AF_INET) return ntohs(short_.v4.sin_port);
  if (family() == AF_INET6) return ntohs(short_.v6.sin6_port);
  return 0;
}

bool SocketAddress::is_any() const {
  if (family() == AF_INET) return short_.v4.sin_addr.s_addr == htonl(INADDR_ANY);
  return family() == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&short_.v6.sin6_addr);
}

std::string SocketAddress::ip_text() const {
  if (family() == AF_INET) return v4_text(&short_.v4.sin_addr);
  if (family() != AF_INET6) return {};
  const in6_addr& v6 = short_.v6.sin6_addr;
  if (IN6_IS_ADDR_V4MAPPED(&v6)) return v4_text(&v6.s6_addr[12]);
  char text[INET6_ADDRSTRLEN] = "";
  ::inet_ntop(AF_INET6, &v6, text, sizeof text);
  return text;
}

std::string SocketAddress::text() const {
  char host[INET6_ADDRSTRLEN] = "";
  switch (family()) {
    case AF_INET:
      ::inet_ntop(AF_INET, &short_.v4.sin_addr, host, sizeof host);
      return std::string(host) + ":" + std::to_string(port());
    case AF_INET6: {
      ::inet_ntop(AF_INET6, &short_.v6.sin6_addr, host, sizeof host);
      const unsigned scope = short_.v6.sin6_scope_id;
      char name[IF_NAMESIZE] = "";
      const bool named = scope != 0 && ::if_indextoname(scope, name) != nullptr;
      return "[" + std::string(host) + (named ? "%" + std::string(name) : "") +
             "]:" + std::to_string(port());
    }
    case AF_UNIX:
      if (unix_name().empty()) return "unix:";
      if (is_unix_path()) return "unix:" + unix_path();
      return "unix:@" + std::string(unix_name().substr(1));
    default:
      return "unknown";
  }
}

}  // namespace baton::os
