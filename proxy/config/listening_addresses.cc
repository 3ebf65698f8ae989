#include "proxy/config/listening_addresses.h"

#include "proxy/config/in_quotes.h"

namespace baton::proxy {
namespace {

// [::ffff:127.0.0.1]:80 and 127.0.0.1:80 are one address, and listening sockets are V6ONLY.
bool is_v4_mapped(const os::SocketAddress& address) {
  if (address.family() != AF_INET6) return false;
  const auto* const v6 = reinterpret_cast<const sockaddr_in6*>(address.data());
  return IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr);
}

}  // namespace

std::optional<os::SocketAddress> ListeningAddresses::take(TableReader& section,
                                                          Transport transport) {
  section.require("address", os::SocketAddress::kSyntax);
  const auto address = section.address("address");
  if (!address) return std::nullopt;
  if (!address->is_unix() && address->port() == 0) {
    section.error("address",
                  "port 0 is a different port each time, which the next generation could "
                  "not take over; allowed: 1 to 65535");
    return std::nullopt;
  }
  if (is_v4_mapped(*address)) {
    section.error("address", in_quotes(address->text()) +
                                 " is an IPv4 address in IPv6 form; allowed: the IPv4 form");
    return std::nullopt;
  }
  if (address->is_unix() && transport == Transport::Datagram) {
    section.error("address", in_quotes(address->text()) +
                                 " is a unix address; allowed with protocol = \"udp\": an IP "
                                 "address and port");
    return std::nullopt;
  }
  const auto [first, added] =
      line_of_.emplace(std::pair(transport, address->text()), section.line("address"));
  if (!added) {
    section.error("address", in_quotes(address->text()) + " is listened on already, on line " +
                                 std::to_string(first->second) +
                                 "; allowed: an address of its own");
  }
  return address;
}

}  // namespace baton::proxy
