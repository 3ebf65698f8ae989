#include "supervisor/open_pair.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/os/memfd.h"

namespace baton::supervisor {

os::Result<os::UniqueFd> open_binary(const std::string& path, const std::string& what) {
  os::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd) return os::errno_error("open " + what, path);
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return os::errno_error("stat", path);
  if (!S_ISREG(status.st_mode)) return os::plain_error(what + " is not a regular file:", path);
  if (::faccessat(fd.get(), "", X_OK, AT_EMPTY_PATH | AT_EACCESS) != 0) {
    return os::errno_error(what + " is not executable:", path);
  }
  return fd;
}

os::Result<Pair> open_pair(FdTable& fds, const std::string& binary_path,
                           const std::string& config_path) {
  auto binary = open_binary(binary_path, "proxy binary");
  if (!binary) return std::unexpected(binary.error());
  Pair pair{.binary_path = binary_path, .config_path = config_path};
  if (!config_path.empty()) {
    const auto bytes = os::read_file(config_path, kMaxConfigBytes);
    if (!bytes) return std::unexpected(bytes.error());
    auto config = os::create_sealed_memfd("baton-config", *bytes);
    if (!config) return std::unexpected(config.error());
    LoadedSettings loaded = load_settings(*bytes, config_path);
    pair.settings = loaded.layer;
    pair.settings_errors = std::move(loaded.errors);
    pair.config = fds.add(std::move(*config));
  }
  pair.binary = fds.add(std::move(*binary));
  return pair;
}

void close_pair(FdTable& fds, const Pair& pair) {
  fds.close(pair.binary);
  fds.close(pair.config);
}

}  // namespace baton::supervisor
