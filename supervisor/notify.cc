#include "supervisor/notify.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "shared/os/unique_fd.h"

namespace baton::supervisor {
namespace {

constexpr char kVariable[] = "NOTIFY_SOCKET";

}  // namespace

bool has_service_manager() {
  const char* path = std::getenv(kVariable);
  return path != nullptr && *path != '\0';
}

os::Result<void> notify(std::string_view lines, int fd) {
  if (!has_service_manager()) return {};
  const char* path = std::getenv(kVariable);
  const std::size_t length = std::strlen(path);
  sockaddr_un address{.sun_family = AF_UNIX};
  if ((path[0] != '/' && path[0] != '@') || length >= sizeof address.sun_path) {
    return os::plain_error("NOTIFY_SOCKET is not the address of a socket:", path);
  }
  std::memcpy(address.sun_path, path, length);
  if (path[0] == '@') address.sun_path[0] = '\0';
  const os::UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return os::errno_error("socket");
  iovec text{.iov_base = const_cast<char*>(lines.data()), .iov_len = lines.size()};
  msghdr message{};
  message.msg_name = &address;
  message.msg_namelen = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
  message.msg_iov = &text;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {};
  if (fd >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  }
  if (::sendmsg(socket.get(), &message, MSG_NOSIGNAL) < 0) {
    return os::errno_error("send to", path);
  }
  return {};
}

}  // namespace baton::supervisor
