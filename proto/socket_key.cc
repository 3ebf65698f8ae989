#include "proto/socket_key.h"

namespace baton::proto {
namespace {

constexpr char kReusePort[] = "reuseport";
constexpr char kReusePortV6Only[] = "reuseport,v6only";

os::Result<int> option(int fd, int level, int name) {
  int value = 0;
  socklen_t length = sizeof value;
  if (::getsockopt(fd, level, name, &value, &length) != 0) return os::errno_error("getsockopt");
  return value;
}

SocketKey key_of(const os::SocketAddress& address, SocketKey::Type type) {
  SocketKey key;
  key.set_address(address.text());
  key.set_type(type);
  if (address.family() == AF_INET) key.set_options(kReusePort);
  if (address.family() == AF_INET6) key.set_options(kReusePortV6Only);
  return key;
}

}  // namespace

SocketKey stream_key(const os::SocketAddress& address) {
  return key_of(address, SocketKey::STREAM);
}

SocketKey datagram_key(const os::SocketAddress& address) {
  return key_of(address, SocketKey::DATAGRAM);
}

std::optional<SocketKey> wildcard_of(const SocketKey& key) {
  const auto address = os::SocketAddress::parse(key.address());
  if (!address || address->is_unix() || address->is_any()) return std::nullopt;
  SocketKey wildcard = key;
  wildcard.set_address((address->family() == AF_INET ? "0.0.0.0:" : "[::]:") +
                       std::to_string(address->port()));
  return wildcard;
}

os::Result<SocketKey> key_of_socket(int fd) {
  const auto type = option(fd, SOL_SOCKET, SO_TYPE);
  if (!type) return std::unexpected(type.error());
  const auto address = os::SocketAddress::of_socket(fd);
  if (!address) return std::unexpected(address.error());
  if (*type == SOCK_STREAM) return stream_key(*address);
  if (*type == SOCK_DGRAM && !address->is_unix()) return datagram_key(*address);
  return os::plain_error("no socket of a kind that listeners have:", address->text());
}

std::string identity(const SocketKey& key) {
  std::string text = key.type() == SocketKey::DATAGRAM ? "datagram " : "stream ";
  text += key.address();
  if (!key.options().empty()) text += " " + key.options();
  return text;
}

os::Result<void> verify_socket(int fd, const SocketKey& key) {
  const auto type = option(fd, SOL_SOCKET, SO_TYPE);
  if (!type) return std::unexpected(type.error());
  const int expected = key.type() == SocketKey::DATAGRAM ? SOCK_DGRAM : SOCK_STREAM;
  if (*type != expected) return os::plain_error("socket of another type for", identity(key));
  const auto address = os::SocketAddress::of_socket(fd);
  if (!address) return std::unexpected(address.error());
  if (address->text() != key.address()) {
    return os::plain_error("socket bound to " + address->text() + " for", identity(key));
  }
  if (address->is_unix()) return {};
  const auto reuse_port = option(fd, SOL_SOCKET, SO_REUSEPORT);
  if (!reuse_port) return std::unexpected(reuse_port.error());
  if ((*reuse_port != 0) != key.options().starts_with(kReusePort)) {
    return os::plain_error("socket of another options class for", identity(key));
  }
  return {};
}

}  // namespace baton::proto
