#include "shared/os/memfd.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>

namespace baton::os {
namespace {

constexpr int kFrozen = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

Result<std::string> read_all(int fd, std::size_t limit_bytes, const std::string& object) {
  std::string bytes;
  for (;;) {
    const std::size_t used = bytes.size();
    if (used > limit_bytes) {
      return plain_error("larger than " + std::to_string(limit_bytes) + " bytes:", object);
    }
    bytes.resize(used + 16384);
    const ssize_t count = ::pread(fd, bytes.data() + used, 16384, static_cast<off_t>(used));
    bytes.resize(used + static_cast<std::size_t>(count > 0 ? count : 0));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno_error("read", object);
    if (count == 0) return bytes;
  }
}

}  // namespace

Result<UniqueFd> create_sealed_memfd(const std::string& name, std::string_view bytes) {
  UniqueFd fd(::memfd_create(name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) return errno_error("memfd_create", name);
  if (const auto written = write_all(fd.get(), bytes, name); !written) {
    return std::unexpected(written.error());
  }
  if (::fcntl(fd.get(), F_ADD_SEALS, kFrozen | F_SEAL_SEAL) != 0) return errno_error("seal", name);
  return fd;
}

Result<void> write_all(int fd, std::string_view bytes, const std::string& object) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return errno_error("write", object);
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

Result<std::string> read_sealed_memfd(int fd, std::size_t limit_bytes) {
  const int seals = ::fcntl(fd, F_GET_SEALS);
  if (seals < 0) return errno_error("get seals", "memfd");
  if ((seals & kFrozen) != kFrozen) return plain_error("memory file is not sealed");
  return read_all(fd, limit_bytes, "memfd");
}

Result<std::string> read_file(const std::string& path, std::size_t limit_bytes) {
  // Opening or reading another kind of file may wait for somebody, for ever.
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd) return errno_error("open", path);
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return errno_error("stat", path);
  if (S_ISDIR(status.st_mode)) {
    errno = EISDIR;
    return errno_error("read", path);
  }
  if (!S_ISREG(status.st_mode)) return plain_error("is not a regular file:", path);
  return read_all(fd.get(), limit_bytes, path);
}

}  // namespace baton::os
