#include "proxy/filter/ip_filter/ip_range.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <ranges>

namespace baton::proxy {
namespace {

bool parse_prefix(std::string_view text, unsigned most, unsigned& prefix) {
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, prefix);
  return error == std::errc() && end == last && prefix <= most;
}

bool is_mapped(const std::array<std::uint8_t, 16>& bytes) {
  in6_addr address;
  std::memcpy(&address, bytes.data(), sizeof address);
  return IN6_IS_ADDR_V4MAPPED(&address);
}

}  // namespace

IpRange::Bytes IpRange::masked(Bytes bytes, unsigned prefix) {
  for (unsigned bit = prefix; bit < bytes.size() * 8; ++bit) {
    bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] & ~(0x80U >> bit % 8));
  }
  return bytes;
}

std::expected<IpRange, std::string> IpRange::parse(std::string_view text) {
  // inet_pton() would stop at it.
  if (text.find('\0') != std::string_view::npos) return std::unexpected("contains NUL");
  const std::size_t slash = text.find('/');
  const std::string host(text.substr(0, slash));
  IpRange range;
  if (::inet_pton(AF_INET, host.c_str(), range.bytes_.data()) == 1) {
    range.family_ = AF_INET;
    range.prefix_ = 32;
  } else if (::inet_pton(AF_INET6, host.c_str(), range.bytes_.data()) == 1) {
    range.family_ = AF_INET6;
    range.prefix_ = 128;
  } else {
    return std::unexpected("is not an IP address or range");
  }
  const unsigned most = range.prefix_;
  if (slash != std::string_view::npos &&
      !parse_prefix(text.substr(slash + 1), most, range.prefix_)) {
    return std::unexpected("needs a prefix of 0 to " + std::to_string(most) + " bits");
  }
  const Bytes network = masked(range.bytes_, range.prefix_);
  if (network != range.bytes_) {
    range.bytes_ = network;
    return std::unexpected("has bits beyond its prefix; did you mean \"" + range.text() + "\"?");
  }
  // IPv4 in IPv6's notation (RFC 4291 section 2.5.5.2): contains() takes such addresses for IPv4.
  if (range.family_ == AF_INET6 && range.prefix_ >= 96 && is_mapped(range.bytes_)) {
    range.family_ = AF_INET;
    range.prefix_ -= 96;
    std::ranges::copy(Bytes(range.bytes_) | std::views::drop(12), range.bytes_.begin());
    std::ranges::fill(range.bytes_ | std::views::drop(4), std::uint8_t{0});
  }
  return range;
}

bool IpRange::contains(const os::SocketAddress& address) const {
  Bytes bytes{};
  int family = address.family();
  if (family == AF_INET) {
    const auto* const v4 = reinterpret_cast<const sockaddr_in*>(address.data());
    std::memcpy(bytes.data(), &v4->sin_addr, sizeof v4->sin_addr);
  } else if (family == AF_INET6) {
    const auto* const v6 = reinterpret_cast<const sockaddr_in6*>(address.data());
    const bool mapped = IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr);
    if (mapped) family = AF_INET;
    const std::size_t skipped = mapped ? 12 : 0;
    std::memcpy(bytes.data(), v6->sin6_addr.s6_addr + skipped, bytes.size() - skipped);
  }
  return family == family_ && masked(bytes, prefix_) == bytes_;
}

std::string IpRange::text() const {
  char host[INET6_ADDRSTRLEN] = "";
  ::inet_ntop(family_, bytes_.data(), host, sizeof host);
  return std::string(host) + "/" + std::to_string(prefix_);
}

}  // namespace baton::proxy
