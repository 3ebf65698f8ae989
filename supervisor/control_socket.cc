#include "supervisor/control_socket.h"

#include <fcntl.h>
#include <grp.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <utility>

#include "supervisor/state_file.h"

namespace baton::supervisor {
namespace {

using Code = ControlSocketError::Code;

constexpr int kBacklog = 64;
constexpr timeval kConnectTime{.tv_sec = 5, .tv_usec = 0};

std::unexpected<ControlSocketError> failed(const os::Error& error) {
  const bool denied = error.code == EACCES || error.code == EPERM;
  return std::unexpected(
      ControlSocketError{denied ? Code::NotPermitted : Code::Failed, error.text()});
}

os::Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{.sun_family = AF_UNIX};
  if (path.empty()) return os::plain_error("the control socket's path is empty");
  if (path.size() >= sizeof address.sun_path) {
    return os::plain_error("the control socket's path has " + std::to_string(path.size()) +
                               " bytes, 107 are the limit:",
                           path);
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

// The directory, if it was made here; empty when it was there.
os::Result<std::string> make_directory(const std::string& socket_path, MissingDirectory missing) {
  const std::string directory = std::filesystem::path(socket_path).parent_path();
  struct stat status{};
  if (::stat(directory.c_str(), &status) == 0 || errno != ENOENT) return "";
  if (missing == MissingDirectory::Refuse) {
    return os::plain_error("the control socket's directory does not exist:", directory);
  }
  if (::mkdir(directory.c_str(), ::geteuid() == 0 ? 0755 : 0700) == 0) return directory;
  if (errno == EEXIST) return "";
  return os::errno_error("create directory", directory);
}

// Whether that is the file, and not another one that was put there later.
bool leads_to(const std::string& path, int file) {
  struct stat opened{}, named{};
  return ::fstat(file, &opened) == 0 && ::stat(path.c_str(), &named) == 0 &&
         opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

// Nothing: somebody else holds it.
os::Result<std::optional<os::UniqueFd>> take_lock(const std::string& lock_path) {
  for (;;) {
    os::UniqueFd lock(::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!lock) return os::errno_error("open", lock_path);
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK) return std::nullopt;
      return os::errno_error("lock", lock_path);
    }
    // The holder before may have removed the file between the two calls: then it guards nothing.
    if (leads_to(lock_path, lock.get())) return std::optional(std::move(lock));
  }
}

os::Result<void> listen_to(int socket, const std::string& path, std::optional<gid_t> group) {
  if (group && (::chown(path.c_str(), static_cast<uid_t>(-1), *group) != 0 ||
                ::chmod(path.c_str(), 0660) != 0)) {
    return os::errno_error("give to the control group", path);
  }
  if (::listen(socket, kBacklog) != 0) return os::errno_error("listen", path);
  return {};
}

os::Result<os::UniqueFd> listen_at(const std::string& path, const sockaddr_un& address,
                                   std::optional<gid_t> group) {
  os::UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return os::errno_error("socket");
  struct stat status{};
  if (::lstat(path.c_str(), &status) == 0) {
    if (!S_ISSOCK(status.st_mode)) return os::plain_error("exists and is not a socket:", path);
    if (::unlink(path.c_str()) != 0) return os::errno_error("remove stale", path);
  }
  const mode_t mask = ::umask(0177);  // so that it is never there with wider permissions
  const int bound =
      ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int bind_errno = errno;
  ::umask(mask);
  if (bound != 0) {
    errno = bind_errno;
    return os::errno_error("bind", path);
  }
  if (const auto listens = listen_to(socket.get(), path, group); !listens) {
    ::unlink(path.c_str());
    return std::unexpected(listens.error());
  }
  return socket;
}

// The lock alone does not say that nobody listens at the path: its file may have been removed, and
// no other program knows of it. Nothing: whatever is there may go.
std::optional<ControlSocketError> refuse_if_alive(const std::string& path,
                                                  const sockaddr_un& address) {
  std::string whom = "another program";
  for (const int type : {SOCK_SEQPACKET, SOCK_STREAM}) {
    const os::UniqueFd probe(::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!probe) return failed(os::errno_error("socket").error()).error();
    if (::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
      ucred peer{};
      socklen_t length = sizeof peer;
      const bool known =
          ::getsockopt(probe.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && peer.pid > 0;
      if (known) whom = "process " + std::to_string(peer.pid);
      break;
    }
    if (errno == EPROTOTYPE) continue;  // alive, but of another type
    if (errno == EAGAIN) break;         // its queue is full
    if (errno == ECONNREFUSED || errno == ENOENT) return std::nullopt;
    return failed(os::errno_error("connect to", path).error()).error();
  }
  return ControlSocketError{Code::InUse, path + " is in use by " + whom};
}

std::string in_use_text(const std::string& path) {
  const auto connection = connect_control_socket(path);
  if (!connection) return path + " belongs to another supervisor";
  return path + " belongs to a running supervisor, process " + std::to_string(connection->pid);
}

std::string lock_path(const std::string& path) { return path + ".lock"; }

// In a directory that is there.
std::expected<ControlSocket, ControlSocketError> claim(FdTable& fds, const std::string& path,
                                                       const sockaddr_un& address,
                                                       std::optional<gid_t> group) {
  auto lock = take_lock(lock_path(path));
  if (!lock) return failed(lock.error());
  if (!*lock) return std::unexpected(ControlSocketError{Code::InUse, in_use_text(path)});
  if (auto alive = refuse_if_alive(path, address)) {
    ::unlink(lock_path(path).c_str());
    return std::unexpected(std::move(*alive));
  }
  auto listener = listen_at(path, address, group);
  if (!listener) {
    ::unlink(lock_path(path).c_str());
    return failed(listener.error());
  }
  return ControlSocket{
      .path = path, .lock = fds.add(std::move(**lock)), .listener = fds.add(std::move(*listener))};
}

}  // namespace

std::expected<ControlSocket, ControlSocketError> claim_control_socket(FdTable& fds,
                                                                      const std::string& path,
                                                                      const std::string& group,
                                                                      MissingDirectory missing) {
  const auto address = address_of(path);
  if (!address) {
    return std::unexpected(ControlSocketError{Code::BadUsage, address.error().text()});
  }
  std::optional<gid_t> gid;
  if (!group.empty()) {
    const ::group* entry = ::getgrnam(group.c_str());
    if (entry == nullptr) {
      return std::unexpected(ControlSocketError{Code::BadUsage, "no such group: " + group});
    }
    gid = entry->gr_gid;
  }
  auto made = make_directory(path, missing);
  if (!made) return failed(made.error());
  auto socket = claim(fds, path, *address, gid);
  if (socket) {
    socket->group = group;
    socket->made_directory = std::move(*made);
  } else if (!made->empty()) {
    ::rmdir(made->c_str());
  }
  return socket;
}

bool is_taken_over(const FdTable& fds, const ControlSocket& socket) {
  const std::string lock = lock_path(socket.path);
  return ::access(lock.c_str(), F_OK) == 0 && !leads_to(lock, fds.get(socket.lock));
}

void release_control_socket(FdTable& fds, ControlSocket& socket) {
  if (!is_taken_over(fds, socket)) ::unlink(state_file_path(socket.path).c_str());
  give_back_control_socket(fds, socket);
}

void give_back_control_socket(FdTable& fds, ControlSocket& socket) {
  if (!is_taken_over(fds, socket)) {
    ::unlink(socket.path.c_str());
    ::unlink(lock_path(socket.path).c_str());
    if (!socket.made_directory.empty()) ::rmdir(socket.made_directory.c_str());
  }
  fds.close(std::exchange(socket.listener, kNoFd));
  fds.close(std::exchange(socket.lock, kNoFd));
}

os::Result<std::string> default_control_path() {
  // systemd may name several directories, separated by colons: the first is ours.
  if (const char* runtime = std::getenv("RUNTIME_DIRECTORY"); runtime != nullptr && *runtime) {
    const std::string_view all(runtime);
    return std::string(all.substr(0, all.find(':'))) + "/control.sock";
  }
  if (::geteuid() == 0) return std::string("/run/baton/control.sock");
  if (const char* runtime = std::getenv("XDG_RUNTIME_DIR"); runtime != nullptr && *runtime) {
    return std::string(runtime) + "/baton/control.sock";
  }
  return os::plain_error("XDG_RUNTIME_DIR is not set: name the control socket with --control PATH");
}

os::Result<ControlConnection> connect_control_socket(const std::string& path) {
  const auto address = address_of(path);
  if (!address) return std::unexpected(address.error());
  ControlConnection connection{os::UniqueFd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0))};
  if (!connection.socket) return os::errno_error("socket");
  // While the backlog is full, connect() waits for so long; later it is EAGAIN.
  ::setsockopt(connection.socket.get(), SOL_SOCKET, SO_SNDTIMEO, &kConnectTime,
               sizeof kConnectTime);
  if (::connect(connection.socket.get(), reinterpret_cast<const sockaddr*>(&*address),
                sizeof *address) != 0) {
    return os::errno_error("connect to", path);
  }
  ::fcntl(connection.socket.get(), F_SETFL, O_NONBLOCK);
  ucred peer{};
  socklen_t length = sizeof peer;
  if (::getsockopt(connection.socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) {
    return os::errno_error("getsockopt", path);
  }
  connection.pid = peer.pid;
  return connection;
}

}  // namespace baton::supervisor
