#include "supervisor/activation.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>

#include "proto/socket_key.h"
#include "shared/os/log.h"
#include "shared/os/socket_type.h"

namespace baton::supervisor {
namespace {

os::Result<void> enable(int fd, int level, int name) {
  const int on = 1;
  if (::setsockopt(fd, level, name, &on, sizeof on) != 0) return os::errno_error("setsockopt");
  return {};
}

bool is_connected(int fd) {
  sockaddr_storage peer{};
  socklen_t length = sizeof peer;
  return ::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &length) == 0;
}

// Baton's own sockets on any IPv6 address never do: 0.0.0.0 and [::] are two listeners.
bool takes_ipv4(int fd) {
  const auto address = os::SocketAddress::of_socket(fd);
  int only_ipv6 = 1;
  socklen_t length = sizeof only_ipv6;
  return address && address->family() == AF_INET6 && address->is_any() &&
         ::getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only_ipv6, &length) == 0 && only_ipv6 == 0;
}

// What a listener has to look like to ask for this socket.
os::Result<SocketKey> key_of(int fd) {
  const auto key = proto::key_of_socket(fd);
  if (!key) return std::unexpected(key.error());
  // With Accept=yes it would be a connection: of the same address, but nothing to accept on.
  if (key->type() == proto::SocketKey::STREAM && !os::listens(fd)) {
    return os::plain_error("does not listen:", key->address());
  }
  if (key->type() == proto::SocketKey::DATAGRAM && is_connected(fd)) {
    return os::plain_error("is connected:", key->address());
  }
  return SocketKey::from_message(*key);
}

// What Baton's own sockets have from birth. The manager does not use its copy while we run, so
// nobody minds that the flags are its, too.
os::Result<void> prepare(int fd, const SocketKey& key) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) return os::errno_error("fcntl");
  const auto address = os::SocketAddress::of_socket(fd);
  if (!address) return std::unexpected(address.error());
  if (address->is_unix()) return {};
  if (const auto shared = enable(fd, SOL_SOCKET, SO_REUSEPORT); !shared) return shared;
  if (key.type != proto::SocketKey::DATAGRAM || !address->is_any()) return {};
  return address->family() == AF_INET ? enable(fd, IPPROTO_IP, IP_PKTINFO)
                                      : enable(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO);
}

os::Result<void> adopt(Escrow& escrow, InheritedFd& inherited) {
  const auto key = key_of(inherited.fd.get());
  if (!key) return std::unexpected(key.error());
  if (const auto prepared = prepare(inherited.fd.get(), *key); !prepared) return prepared;
  const auto index = static_cast<std::uint32_t>(escrow.count(*key));
  log::info("the service manager listens on {} for us ({})", key->address, inherited.name);
  if (takes_ipv4(inherited.fd.get())) {
    log::warning(
        "the service manager's {} ({}) takes IPv4 clients, too: set BindIPv6Only=ipv6-only",
        key->address, inherited.name);
  }
  escrow.put(*key, index, kActivated, std::move(inherited.fd));
  return {};
}

}  // namespace

// A generation of a supervisor before this one may have brought one already.
void adopt_activated(Escrow& escrow, std::vector<InheritedFd> fds) {
  std::erase_if(fds, [&escrow](const InheritedFd& inherited) {
    return escrow.holds_file(file_id(inherited.fd.get()));
  });
  for (InheritedFd& inherited : fds) {
    if (const auto adopted = adopt(escrow, inherited); !adopted) {
      log::warning("descriptor {} of the service manager ({}) is of no use and closed: {}",
                   inherited.fd.get(), inherited.name, adopted.error().text());
    }
  }
}

}  // namespace baton::supervisor
