#include "supervisor/inherited_fds.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <optional>

#include "shared/os/fd_limit.h"
#include "shared/os/log.h"
#include "supervisor/environment.h"

namespace baton::supervisor {
namespace {

constexpr int kFirst = 3;  // SD_LISTEN_FDS_START
constexpr std::string_view kUnnamed = "unknown";

std::optional<std::uint64_t> announced(const char* variable) {
  const auto number = number_in(variable);
  const char* const text = std::getenv(variable);
  if (!number && text != nullptr) log::warning("{} is not a number: \"{}\"", variable, text);
  return number;
}

// Cuts the first name off.
std::string next_name(std::string_view& names) {
  const std::size_t colon = names.find(':');
  const std::string_view name = names.substr(0, colon);
  names.remove_prefix(colon == names.npos ? names.size() : colon + 1);
  return std::string(name.empty() ? kUnnamed : name);
}

std::vector<InheritedFd> take(std::uint64_t count) {
  const char* text = std::getenv("LISTEN_FDNAMES");
  std::string_view names = text == nullptr ? "" : text;
  std::vector<InheritedFd> taken;
  for (std::uint64_t i = 0; i < count; ++i) {
    const int fd = kFirst + static_cast<int>(i);
    std::string name = next_name(names);
    if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
      log::warning("LISTEN_FDS promises descriptor {} ({}), which is not open", fd, name);
      continue;
    }
    taken.push_back({std::move(name), os::UniqueFd(fd)});
  }
  return taken;
}

}  // namespace

std::vector<InheritedFd> take_inherited_fds() {
  const auto pid = announced("LISTEN_PID");
  const auto count = announced("LISTEN_FDS");
  std::vector<InheritedFd> taken;
  if (pid && count && *pid == static_cast<std::uint64_t>(::getpid())) {
    if (*count < os::fd_limit()) {
      taken = take(*count);
    } else {
      log::warning("LISTEN_FDS is {}, more than this process can have", *count);
    }
  }
  for (const char* variable : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) ::unsetenv(variable);
  return taken;
}

}  // namespace baton::supervisor
