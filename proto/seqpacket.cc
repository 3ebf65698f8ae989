#include "proto/seqpacket.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace baton::proto {
namespace {

// Room for the control message with the most descriptors the kernel passes at once.
struct alignas(cmsghdr) ControlBuffer {
  char bytes[CMSG_SPACE(kMaxFdsPerMessage * sizeof(int))];
};

void attach_fds(msghdr& message, ControlBuffer& control, std::span<const int> fds) {
  message.msg_control = control.bytes;
  message.msg_controllen = CMSG_SPACE(fds.size_bytes());
  cmsghdr* head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(fds.size_bytes());
  std::memcpy(CMSG_DATA(head), fds.data(), fds.size_bytes());
}

// Takes ownership of every descriptor that arrived, whatever else is wrong with the message.
void take_fds(msghdr& message, std::vector<os::UniqueFd>& fds) {
  for (cmsghdr* head = CMSG_FIRSTHDR(&message); head != nullptr;
       head = CMSG_NXTHDR(&message, head)) {
    if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(head) + i * sizeof fd, sizeof fd);
      fds.emplace_back(fd);
    }
  }
}

bool peer_is_gone(int error) {
  return error == EPIPE || error == ECONNRESET || error == ECONNREFUSED || error == ENOTCONN;
}

}  // namespace

IoStatus send_datagram(int socket, std::span<const std::byte> bytes, std::span<const int> fds) {
  if (fds.size() > kMaxFdsPerMessage) {
    errno = EINVAL;
    return IoStatus::Failed;
  }
  iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  ControlBuffer control;
  if (!fds.empty()) attach_fds(message, control, fds);
  for (;;) {
    if (::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return IoStatus::Done;
    if (errno == EINTR) continue;
    if (errno == EAGAIN) return IoStatus::WouldBlock;
    return peer_is_gone(errno) ? IoStatus::Closed : IoStatus::Failed;
  }
}

IoStatus receive_datagram(int socket, Datagram& datagram) {
  datagram.fds.clear();
  ControlBuffer control;
  msghdr message{};
  ssize_t count = -1;
  datagram.bytes.resize_and_overwrite(kMaxDatagramBytes, [&](char* data, std::size_t size) {
    iovec part{data, size};
    do {
      message = msghdr{};
      message.msg_iov = &part;
      message.msg_iovlen = 1;
      message.msg_control = control.bytes;
      message.msg_controllen = sizeof control.bytes;
      count = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
      // A peer that closed with our messages unread leaves ECONNRESET, reported once and ahead of
      // what it had sent before: that is still there to be read.
    } while (count < 0 && (errno == EINTR || errno == ECONNRESET));
    return count > 0 ? static_cast<std::size_t>(count) : 0;
  });
  if (count < 0) {
    if (errno == EAGAIN) return IoStatus::WouldBlock;
    return peer_is_gone(errno) ? IoStatus::Closed : IoStatus::Failed;
  }
  take_fds(message, datagram.fds);
  if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
    datagram.fds.clear();
    return (message.msg_flags & MSG_TRUNC) != 0 ? IoStatus::Malformed : IoStatus::FdsLost;
  }
  if (count == 0) {
    datagram.fds.clear();
    return IoStatus::Closed;
  }
  return IoStatus::Done;
}

os::Result<std::pair<os::UniqueFd, os::UniqueFd>> make_pair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) {
    return os::errno_error("socketpair");
  }
  return std::pair(os::UniqueFd(ends[0]), os::UniqueFd(ends[1]));
}

}  // namespace baton::proto
