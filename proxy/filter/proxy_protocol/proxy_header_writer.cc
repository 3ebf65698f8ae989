#include "proxy/filter/proxy_protocol/proxy_header_writer.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <array>
#include <cstring>
#include <string_view>

#include "proxy/filter/proxy_protocol/proxy_header_v2.h"

namespace baton::proxy {
namespace {

template <class Value>
void append_bytes(Buffer& out, const Value& value) {
  out.append({reinterpret_cast<const char*>(&value), sizeof value});
}

void append_fixed(Buffer& out, std::uint8_t command, ProxyFamily family, std::uint8_t transport) {
  out.append(kProxyV2Signature);
  append_bytes(out, command);
  append_bytes(out, static_cast<std::uint8_t>(static_cast<unsigned>(family) << 4U | transport));
  append_bytes(out, htons(static_cast<std::uint16_t>(address_bytes(family))));
}

const sockaddr_in& as_v4(const os::SocketAddress& address) {
  return *reinterpret_cast<const sockaddr_in*>(address.data());
}

in6_addr v6_of(const os::SocketAddress& address) {
  if (address.family() == AF_INET6) {
    return reinterpret_cast<const sockaddr_in6*>(address.data())->sin6_addr;
  }
  in6_addr mapped{};
  mapped.s6_addr[10] = mapped.s6_addr[11] = 0xff;
  std::memcpy(mapped.s6_addr + 12, &as_v4(address).sin_addr, sizeof(in_addr));
  return mapped;
}

bool is_ip(const os::SocketAddress& address) {
  return address.family() == AF_INET || address.family() == AF_INET6;
}

os::SocketAddress any_address(int family) {
  sockaddr_in6 any{};
  any.sin6_family = static_cast<sa_family_t>(family);
  const socklen_t length = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  return os::SocketAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(&any), length);
}

}  // namespace

void write_proxy_v2(Buffer& out, const os::SocketAddress& client, const os::SocketAddress& local) {
  if (!is_ip(client)) return write_local_proxy_v2(out);
  if (!is_ip(local)) return write_proxy_v2(out, client, any_address(client.family()));
  if (client.family() == AF_INET && local.family() == AF_INET) {
    append_fixed(out, kProxyV2Proxy, ProxyFamily::Inet, kProxyStream);
    append_bytes(out, as_v4(client).sin_addr);
    append_bytes(out, as_v4(local).sin_addr);
  } else {
    append_fixed(out, kProxyV2Proxy, ProxyFamily::Inet6, kProxyStream);
    append_bytes(out, v6_of(client));
    append_bytes(out, v6_of(local));
  }
  append_bytes(out, htons(client.port()));
  append_bytes(out, htons(local.port()));
}

void write_local_proxy_v2(Buffer& out) {
  append_fixed(out, kProxyV2Local, ProxyFamily::Unspecified, 0);
}

}  // namespace baton::proxy
