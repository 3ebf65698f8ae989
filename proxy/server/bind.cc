#include "proxy/server/bind.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "proxy/server/address_owner.h"

namespace baton::proxy {
namespace {

os::Result<os::UniqueFd> open_socket(const os::SocketAddress& address, int type = SOCK_STREAM) {
  os::UniqueFd fd(::socket(address.family(), type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return os::errno_error("socket", address.text());
  return fd;
}

void enable(int fd, int level, int option) {
  const int on = 1;
  ::setsockopt(fd, level, option, &on, sizeof on);
}

// SO_REUSEADDR is for TCP only: it lets a socket be bound beside connections that are closing, but
// between two UDP sockets it means that one may take the other's datagrams.
os::Result<os::UniqueFd> open_inet(const os::SocketAddress& address, int type) {
  auto fd = open_socket(address, type);
  if (!fd) return fd;
  if (type == SOCK_STREAM) enable(fd->get(), SOL_SOCKET, SO_REUSEADDR);
  if (address.family() == AF_INET6) enable(fd->get(), IPPROTO_IPV6, IPV6_V6ONLY);
  return fd;
}

AddressOwner find_owner(const os::SocketAddress& address, int type, const std::set<pid_t>& but,
                        V6Wildcards wildcards = V6Wildcards::Count) {
  return type == SOCK_STREAM ? find_tcp_owner(address, but, wildcards)
                             : find_udp_owner(address, but, wildcards);
}

// Whether v6 wildcard sockets of this port keep v4 ones away: from any address, so from one that
// hardly anybody has a v4 socket of, too.
bool v6_wildcards_have_v4(std::uint16_t port, int type) {
  const auto spare = os::SocketAddress::parse("127.255.255.254:" + std::to_string(port));
  const auto probe = open_inet(*spare, type);
  if (!probe) return true;
  if (::bind(probe->get(), spare->data(), spare->length()) == 0) return false;
  return find_owner(*spare, type, {}, V6Wildcards::Ignore).kind == AddressOwner::Kind::Nobody;
}

// Who has the address beside `ours`. A v6-only wildcard does no harm, and neither does one that may
// have v4 as well where a v4 wildcard is ours: the kernel prefers that one for all clients already.
AddressOwner find_stranger(const os::SocketAddress& address, int type,
                           const std::set<pid_t>& ours) {
  AddressOwner any = find_owner(address, type, ours);
  const bool somebody = any.kind == AddressOwner::Kind::Somebody;
  if (ours.empty() || !somebody || address.family() != AF_INET) return any;
  AddressOwner of_v4 = find_owner(address, type, ours, V6Wildcards::Ignore);
  if (of_v4.kind == AddressOwner::Kind::Somebody) return of_v4;
  return v6_wildcards_have_v4(address.port(), type) ? any : of_v4;
}

// Where a datagram was sent to, so that the reply leaves from there. Before bind(2): the kernel
// notes it when a datagram arrives, not when it is read.
void tell_destination(int fd, const os::SocketAddress& address) {
  if (!address.is_any()) return;
  if (address.family() == AF_INET) enable(fd, IPPROTO_IP, IP_PKTINFO);
  if (address.family() == AF_INET6) enable(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO);
}

std::unexpected<os::Error> in_use(const os::SocketAddress& address, const std::string& owner) {
  return std::unexpected(os::Error{
      EADDRINUSE, "bind", address.text() + (owner.empty() ? "" : " (in use by " + owner + ")")});
}

// SO_REUSEPORT would let this process share the address of any other one of the same user, and each
// would get a part of the traffic. A bind without it tells whether somebody listens there. With
// processes of ours somebody may, unless it is known to be another one.
os::Result<void> refuse_stranger(const os::SocketAddress& address, int type,
                                 const std::set<pid_t>& ours) {
  // A listener that goes away while its owner is looked for: look again, but not for ever.
  constexpr int kMostLooks = 3;
  for (int look = 0; look < kMostLooks; ++look) {
    const auto probe = open_inet(address, type);
    if (!probe) return std::unexpected(probe.error());
    if (::bind(probe->get(), address.data(), address.length()) == 0) return {};
    if (errno != EADDRINUSE) return os::errno_error("bind", address.text());
    const AddressOwner owner = find_stranger(address, type, ours);
    const bool somebody = owner.kind == AddressOwner::Kind::Somebody;
    if (!ours.empty() && !somebody) return {};
    if (owner.kind != AddressOwner::Kind::Nobody) return in_use(address, owner.text);
  }
  return in_use(address, {});
}

os::Result<os::UniqueFd> bind_inet(const os::SocketAddress& address, int type, GroupPlace place,
                                   const std::set<pid_t>& ours) {
  if (place == GroupPlace::First) {
    const auto free = refuse_stranger(address, type, ours);
    if (!free) return std::unexpected(free.error());
  }
  auto fd = open_inet(address, type);
  if (!fd) return fd;
  enable(fd->get(), SOL_SOCKET, SO_REUSEPORT);
  if (type == SOCK_DGRAM) tell_destination(fd->get(), address);
  if (::bind(fd->get(), address.data(), address.length()) == 0) return fd;
  if (errno != EADDRINUSE) return os::errno_error("bind", address.text());
  return in_use(address, find_owner(address, type, ours).text);
}

// A socket file outlives its process; only a connection attempt tells whether anybody is behind it.
os::Result<void> remove_stale(const os::SocketAddress& address) {
  const std::string path = address.unix_path();
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) {
    return errno == ENOENT ? os::Result<void>{} : os::errno_error("stat", path);
  }
  if (!S_ISSOCK(status.st_mode)) return os::plain_error("exists and is not a socket:", path);
  const auto probe = open_socket(address);
  if (!probe) return std::unexpected(probe.error());
  if (::connect(probe->get(), address.data(), address.length()) == 0 || errno == EAGAIN) {
    return in_use(address, find_unix_owner(probe->get()).text);
  }
  if (errno == EPROTOTYPE) return in_use(address, {});  // by a socket of another type
  if (errno != ECONNREFUSED) return os::errno_error("connect", address.text());
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return os::errno_error("unlink", path);
  return {};
}

}  // namespace

os::Result<os::UniqueFd> bind_stream_socket(const os::SocketAddress& address, GroupPlace place,
                                            const std::set<pid_t>& ours) {
  if (!address.is_unix()) return bind_inet(address, SOCK_STREAM, place, ours);
  if (address.is_unix_path()) {
    if (const auto free = remove_stale(address); !free) return std::unexpected(free.error());
  }
  auto fd = open_socket(address);
  if (!fd) return fd;
  if (::bind(fd->get(), address.data(), address.length()) == 0) return fd;
  if (errno != EADDRINUSE) return os::errno_error("bind", address.text());
  const bool connects = ::connect(fd->get(), address.data(), address.length()) == 0;
  return in_use(address, connects ? find_unix_owner(fd->get()).text : std::string());
}

os::Result<os::UniqueFd> bind_datagram_socket(const os::SocketAddress& address, GroupPlace place,
                                              const std::set<pid_t>& ours) {
  if (address.is_unix()) return os::plain_error("not an address for datagrams:", address.text());
  return bind_inet(address, SOCK_DGRAM, place, ours);
}

os::Result<void> refuse_datagram_stranger(const os::SocketAddress& address,
                                          const std::set<pid_t>& ours) {
  return refuse_stranger(address, SOCK_DGRAM, ours);
}

}  // namespace baton::proxy
