// What tells one client's datagrams from another's: its address and port, and the address it sent
// to where the listener has more than one. Without holes, so that it can be hashed and compared as
// it lies in memory.
// Thread: none; a plain value.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>

#include "shared/os/socket_address.h"

namespace baton::proxy::udp {

struct FlowKey {
  using Ip = std::array<std::uint8_t, 16>;  // an IPv4 address in the first four

  Ip client{};
  Ip local{};               // zero: the listener's own address, or what the kernel chooses
  std::uint32_t scope = 0;  // of link-local addresses
  in_port_t port = 0;       // the client's, in network order
  sa_family_t family = AF_UNSPEC;

  friend bool operator==(const FlowKey&, const FlowKey&) = default;

  // `address`: of a client, as recvmsg(2) gives it.
  static FlowKey of_client(const sockaddr_storage& address);
  // Returns the length.
  socklen_t client_address(sockaddr_storage& address) const;
  os::SocketAddress client_address() const;
  bool has_local() const { return local != Ip{}; }
  // Keyed by `seed`, so that no client can choose where it lands.
  std::uint64_t hash(std::uint64_t seed) const;
};
static_assert(sizeof(FlowKey) == 40);

}  // namespace baton::proxy::udp
