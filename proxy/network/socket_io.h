// What a connection asks of its socket.
// recv(2) and send(2) go without the C library's cancellation points, which cost two atomic
// operations a call as soon as a process has threads: 1.5 % of a small round trip. No thread is
// ever cancelled here. Same results and errno.
// Thread: any.
#pragma once

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstdint>
#include <span>

namespace baton::proxy {

inline ssize_t socket_receive(int fd, std::span<char> room) {
  return ::syscall(SYS_recvfrom, fd, room.data(), room.size(), 0, nullptr, nullptr);
}

// A peer that has gone is an error, never a SIGPIPE.
inline ssize_t socket_send(int fd, std::span<const char> bytes) {
  return ::syscall(SYS_sendto, fd, bytes.data(), bytes.size(), MSG_NOSIGNAL, nullptr, 0);
}

// What the kernel still holds for a slow peer: SIOCOUTQ, tcp(7) and unix(7), where it is memory,
// not bytes. It tells of room only when much of it is free again, so how this changes says sooner
// whether the peer takes anything.
inline std::uint32_t unacknowledged(int fd) {
  int bytes = 0;
  return ::ioctl(fd, SIOCOUTQ, &bytes) == 0 ? static_cast<std::uint32_t>(bytes) : 0;
}

}  // namespace baton::proxy
