// The constants of the PROXY protocol's binary header, for those who read and write it.
// Source: "The PROXY protocol, versions 1 & 2", haproxy.org, section 2.2.
// Thread: any; constants.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace baton::proxy {

//   signature (12) | version and command (1) | family and transport (1) | length (2) | addresses |
//   TLVs
inline constexpr std::string_view kProxyV2Signature{"\r\n\r\n\0\r\nQUIT\n", 12};
inline constexpr std::size_t kProxyV2FixedBytes = 16;  // `length` counts what follows

inline constexpr std::uint8_t kProxyV2Local = 0x20;  // the proxy's own connection: a health check
inline constexpr std::uint8_t kProxyV2Proxy = 0x21;

enum class ProxyFamily : std::uint8_t { Unspecified = 0, Inet = 1, Inet6 = 2, Unix = 3 };
inline constexpr std::uint8_t kProxyStream = 1;  // the transport: TCP

inline constexpr std::size_t kUnixPathBytes = 108;

// Source and destination, with their ports.
constexpr std::size_t address_bytes(ProxyFamily family) {
  switch (family) {
    case ProxyFamily::Unspecified:
      return 0;
    case ProxyFamily::Inet:
      return 2 * (4 + 2);
    case ProxyFamily::Inet6:
      return 2 * (16 + 2);
    case ProxyFamily::Unix:
      break;
  }
  return 2 * kUnixPathBytes;
}

}  // namespace baton::proxy
