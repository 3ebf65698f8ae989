#include "shared/os/fd_limit.h"

#include <fcntl.h>
#include <sys/resource.h>

#include <algorithm>

#include "shared/os/unique_fd.h"

namespace baton::os {

namespace {

// What a process has where nobody has said otherwise.
constexpr std::uint64_t kUsualLimit = 1024;

}  // namespace

std::uint64_t fd_limit() {
  rlimit limit{};
  return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : kUsualLimit;
}

std::uint64_t next_fd() {
  const UniqueFd probe(::open("/", O_PATH | O_CLOEXEC));
  return probe.valid() ? static_cast<std::uint64_t>(probe.get()) : fd_limit();
}

std::uint64_t raise_fd_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return kUsualLimit;
  const rlim_t before = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) return before;
  return limit.rlim_cur;
}

void reserve_fds(std::uint64_t count) {
  const auto highest = static_cast<int>(std::min(count, fd_limit()) - 1);
  const UniqueFd any(::open("/", O_PATH | O_CLOEXEC));
  const UniqueFd last(::fcntl(any.get(), F_DUPFD_CLOEXEC, highest));
}

}  // namespace baton::os
