#include "proxy/udp/shared_socket.h"

#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>

#include "proxy/worker/event_loop.h"
#include "shared/os/log.h"
#include "shared/os/socket_address.h"

namespace baton::proxy::udp {
namespace {

// 0, too, if the kernel does not say.
std::uint32_t overflow_of(int fd) {
  std::array<std::uint32_t, SK_MEMINFO_VARS> figures{};
  socklen_t length = sizeof figures;
  ::getsockopt(fd, SOL_SOCKET, SO_MEMINFO, figures.data(), &length);
  return figures[SK_MEMINFO_DROPS];
}

std::uint64_t cookie_of(int fd) {
  std::uint64_t cookie = 0;
  socklen_t length = sizeof cookie;
  ::getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &length);
  return cookie;
}

// Itself: an address that a socket can always be connected to, and that nobody else sends from.
os::SocketAddress own_address(int fd) {
  const auto bound = os::SocketAddress::of_socket(fd);
  if (!bound || !bound->is_any()) return bound.value_or(os::SocketAddress());
  const std::string loopback = bound->family() == AF_INET ? "127.0.0.1:" : "[::1]:";
  return os::SocketAddress::parse(loopback + std::to_string(bound->port()))
      .value_or(os::SocketAddress());
}

}  // namespace

SharedSocket::SharedSocket(ev::loop_ref loop, Owner& owner, int lent, os::UniqueFd copy)
    : loop_(loop),
      owner_(owner),
      lent_(lent),
      fd_(std::move(copy)),
      cookie_(cookie_of(fd_.get())),
      watcher_(loop) {
  watcher_.set<SharedSocket, &SharedSocket::on_ready>(this);
}

SharedSocket::~SharedSocket() { forget(); }

void SharedSocket::begin_to_count() {
  if (std::exchange(counts_, true)) return;
  overflow_ = overflow_of(fd_.get());
}

void SharedSocket::watch() {
  if (watcher_.is_active()) return;
  begin_to_count();
  watcher_.start(fd_.get(), ev::READ);
}

void SharedSocket::forget() {
  counts_ = false;
  if (!watcher_.is_active()) return;
  watcher_.stop();
  EventLoop::forget_fd(loop_, fd_.get());
}

std::uint32_t SharedSocket::take_overflow() {
  const std::uint32_t now = overflow_of(fd_.get());
  return now - std::exchange(overflow_, now);
}

// A connected UDP socket gets datagrams from its peer only, and the kernel no longer counts it
// among those of its SO_REUSEPORT group that share the others. shutdown(2) would keep replies back,
// and close(2) of one copy changes nothing while another process has one.
void SharedSocket::shut_out() {
  const os::SocketAddress own = own_address(fd_.get());
  if (::connect(fd_.get(), own.data(), own.length()) == 0) return;
  log::warning("cannot keep datagrams out of {}: {}", own.text(),
               os::errno_error("connect").error().text());
}

}  // namespace baton::proxy::udp
