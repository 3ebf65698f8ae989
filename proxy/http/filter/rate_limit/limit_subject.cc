#include "proxy/http/filter/rate_limit/limit_subject.h"

#include <netinet/in.h>

#include <string_view>

#include "proxy/upstream/hash_key.h"

namespace baton::proxy::http {
namespace {

std::uint64_t hash_of_bytes(const void* bytes, std::size_t count, std::uint64_t seed) {
  return hash_of_text({static_cast<const char*>(bytes), count}, seed);
}

std::uint64_t client_key(const os::SocketAddress& client, std::uint64_t limit) {
  if (client.family() == AF_INET) {
    const auto* const v4 = reinterpret_cast<const sockaddr_in*>(client.data());
    return hash_of_bytes(&v4->sin_addr, sizeof v4->sin_addr, limit);
  }
  if (client.family() == AF_INET6) {
    const in6_addr& v6 = reinterpret_cast<const sockaddr_in6*>(client.data())->sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(&v6)) return hash_of_bytes(v6.s6_addr + 12, 4, limit);
    return hash_of_bytes(v6.s6_addr, 8, limit);
  }
  return hash_of_text("unix", limit);
}

}  // namespace

std::optional<std::uint64_t> subject_key(std::uint64_t limit, const LimitSubject& subject,
                                         const os::SocketAddress& client,
                                         const HeaderMap& headers) {
  switch (subject.kind) {
    case LimitSubject::Kind::Global:
      return limit;
    case LimitSubject::Kind::ClientAddress:
      return client_key(client, limit);
    case LimitSubject::Kind::Header:
      break;
  }
  const HeaderField* const field = headers.find(subject.header);
  if (field == nullptr) return std::nullopt;
  return hash_of_text(field->value(), limit);
}

}  // namespace baton::proxy::http
