#include "proxy/udp/flow_key.h"

#include <cstring>

#include "proxy/upstream/hash_key.h"

namespace baton::proxy::udp {

FlowKey FlowKey::of_client(const sockaddr_storage& address) {
  FlowKey key;
  key.family = address.ss_family;
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    std::memcpy(key.client.data(), &v4.sin_addr, sizeof v4.sin_addr);
    key.port = v4.sin_port;
  } else if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    std::memcpy(key.client.data(), &v6.sin6_addr, sizeof v6.sin6_addr);
    key.port = v6.sin6_port;
    key.scope = v6.sin6_scope_id;
  }
  return key;
}

socklen_t FlowKey::client_address(sockaddr_storage& address) const {
  if (family == AF_INET) {
    auto& v4 = reinterpret_cast<sockaddr_in&>(address);
    v4 = {.sin_family = AF_INET, .sin_port = port};
    std::memcpy(&v4.sin_addr, client.data(), sizeof v4.sin_addr);
    return sizeof v4;
  }
  auto& v6 = reinterpret_cast<sockaddr_in6&>(address);
  v6 = {.sin6_family = AF_INET6, .sin6_port = port, .sin6_scope_id = scope};
  std::memcpy(&v6.sin6_addr, client.data(), sizeof v6.sin6_addr);
  return sizeof v6;
}

os::SocketAddress FlowKey::client_address() const {
  sockaddr_storage address;
  const socklen_t length = client_address(address);
  return os::SocketAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(&address), length);
}

std::uint64_t FlowKey::hash(std::uint64_t seed) const {
  std::array<std::uint64_t, sizeof(FlowKey) / sizeof(std::uint64_t)> words;
  std::memcpy(words.data(), this, sizeof *this);
  std::uint64_t hash = seed;
  for (const std::uint64_t word : words) hash = mix_hash(hash + word);
  return hash;
}

}  // namespace baton::proxy::udp
