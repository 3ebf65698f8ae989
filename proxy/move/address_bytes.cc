#include "proxy/move/address_bytes.h"

#include <sys/socket.h>

namespace baton::proxy {

std::string to_address_bytes(const os::SocketAddress& address) {
  return {reinterpret_cast<const char*>(address.data()), address.length()};
}

std::optional<os::SocketAddress> from_address_bytes(std::string_view bytes) {
  if (bytes.size() < sizeof(sa_family_t) || bytes.size() > sizeof(sockaddr_storage)) {
    return std::nullopt;
  }
  sockaddr_storage storage{};
  bytes.copy(reinterpret_cast<char*>(&storage), bytes.size());
  return os::SocketAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(&storage),
                                          static_cast<socklen_t>(bytes.size()));
}

}  // namespace baton::proxy
