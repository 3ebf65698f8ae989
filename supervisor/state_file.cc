#include "supervisor/state_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "shared/os/memfd.h"
#include "shared/os/unique_fd.h"
#include "supervisor/state_codec.h"

namespace baton::supervisor {
namespace {

// For what a reload or two add to the state: once the disk is full there is no more to be had.
off_t room_for(std::string_view bytes) { return static_cast<off_t>(2 * bytes.size() + 4096); }

os::Result<void> check_owner(int fd, const std::string& path) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) return os::errno_error("stat", path);
  if (!S_ISREG(status.st_mode)) return os::plain_error("is not a regular file:", path);
  if (status.st_uid != ::geteuid() || (status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return os::plain_error("belongs to somebody else, or others have access:", path);
  }
  return {};
}

os::Result<void> replace(const std::string& path, std::string_view bytes) {
  const std::string next = path + ".new";
  ::unlink(next.c_str());  // of one that was killed here
  const os::UniqueFd fd(
      ::open(next.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) return os::errno_error("create", next);
  auto written = os::write_all(fd.get(), bytes, next);
  // Not every file system can, and where there is room nobody needs it.
  if (written) ::fallocate(fd.get(), FALLOC_FL_KEEP_SIZE, 0, room_for(bytes));
  if (written && ::rename(next.c_str(), path.c_str()) != 0) {
    written = os::errno_error("replace", path);
  }
  if (!written) ::unlink(next.c_str());
  return written;
}

// What is behind it of a longer one stays: a state says how long it is. A process that is killed
// here leaves one whose checksum is wrong.
os::Result<void> overwrite(const std::string& path, std::string_view bytes) {
  const os::UniqueFd fd(::open(path.c_str(), O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd) return os::errno_error("open", path);
  if (const auto ours = check_owner(fd.get(), path); !ours) return ours;
  return os::write_all(fd.get(), bytes, path);
}

}  // namespace

std::string state_file_path(const std::string& control_path) { return control_path + ".state"; }

os::Result<void> write_state_file(const std::string& path, std::string_view bytes) {
  auto written = replace(path, bytes);
  if (!written && overwrite(path, bytes)) return {};
  return written;
}

os::Result<std::optional<std::string>> read_state_file(const std::string& path) {
  const os::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd && errno == ENOENT) return std::nullopt;
  if (!fd) return os::errno_error("open", path);
  if (const auto ours = check_owner(fd.get(), path); !ours) return std::unexpected(ours.error());
  auto bytes = os::read_file("/proc/self/fd/" + std::to_string(fd.get()), kMaxStateBytes);
  if (!bytes) return std::unexpected(bytes.error());
  return std::move(*bytes);
}

std::string unusable_state_path(const std::string& path) { return path + ".unusable"; }

os::Result<void> set_state_file_aside(const std::string& path) {
  if (::rename(path.c_str(), unusable_state_path(path).c_str()) == 0) return {};
  return os::errno_error("set aside", path);
}

}  // namespace baton::supervisor
