// A range of IPv4 or IPv6 addresses in CIDR notation: "10.0.0.0/8", "::1". Source: RFC 4632, 4291.
// Thread: none; a plain value.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "shared/os/socket_address.h"

namespace baton::proxy {

class IpRange {
 public:
  // What parse() accepts, for error messages.
  static constexpr std::string_view kSyntax =
      R"("10.0.0.0/8", "192.0.2.1", "2001:db8::/32", "::1")";

  // The error is what is wrong, for a user. Bits beyond the prefix are one: they hide a mistake.
  static std::expected<IpRange, std::string> parse(std::string_view text);

  // IPv4 in IPv6 form counts as IPv4. Unix addresses are in no range.
  bool contains(const os::SocketAddress& address) const;
  std::string text() const;

 private:
  // IPv4 uses the first four bytes.
  using Bytes = std::array<std::uint8_t, 16>;

  static Bytes masked(Bytes bytes, unsigned prefix);

  int family_ = 0;
  unsigned prefix_ = 0;  // bits
  Bytes bytes_{};        // zero beyond the prefix
};

}  // namespace baton::proxy
