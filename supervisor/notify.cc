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

os::Result<void> notify(std::string_view lines) {
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
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
  if (::sendto(socket.get(), lines.data(), lines.size(), MSG_NOSIGNAL,
               reinterpret_cast<const sockaddr*>(&address), size) < 0) {
    return os::errno_error("send to", path);
  }
  return {};
}

}  // namespace baton::supervisor
