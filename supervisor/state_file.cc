#include "supervisor/state_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "shared/os/memfd.h"
#include "shared/os/unique_fd.h"
#include "supervisor/state_codec.h"

namespace baton::supervisor {
std::string state_file_path(const std::string& control_path) { return control_path + ".state"; }

os::Result<void> write_state_file(const std::string& path, std::string_view bytes) {
  const std::string next = path + ".new";
  ::unlink(next.c_str());  // of one that was killed here
  const os::UniqueFd fd(
      ::open(next.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) return os::errno_error("create", next);
  auto written = os::write_all(fd.get(), bytes, next);
  if (written && ::rename(next.c_str(), path.c_str()) != 0) {
    written = os::errno_error("replace", path);
  }
  if (!written) ::unlink(next.c_str());
  return written;
}

os::Result<std::optional<std::string>> read_state_file(const std::string& path) {
  const os::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd && errno == ENOENT) return std::nullopt;
  if (!fd) return os::errno_error("open", path);
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return os::errno_error("stat", path);
  if (!S_ISREG(status.st_mode)) return os::plain_error("is not a regular file:", path);
  if (status.st_uid != ::geteuid() || (status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return os::plain_error("belongs to somebody else, or others have access:", path);
  }
  auto bytes = os::read_file("/proc/self/fd/" + std::to_string(fd.get()), kMaxStateBytes);
  if (!bytes) return std::unexpected(bytes.error());
  return std::move(*bytes);
}

}  // namespace baton::supervisor
