#include "proxy/upstream/hash_key.h"

#include <netinet/in.h>

namespace baton::proxy {

std::uint64_t hash_of_client(const os::SocketAddress& client) {
  if (client.family() == AF_INET) {
    const auto* const v4 = reinterpret_cast<const sockaddr_in*>(client.data());
    return hash_of_text({reinterpret_cast<const char*>(&v4->sin_addr), sizeof v4->sin_addr});
  }
  if (client.family() == AF_INET6) {
    const auto* const v6 = reinterpret_cast<const sockaddr_in6*>(client.data());
    return hash_of_text({reinterpret_cast<const char*>(&v6->sin6_addr), sizeof v6->sin6_addr});
  }
  return hash_of_text("unix");
}

}  // namespace baton::proxy
