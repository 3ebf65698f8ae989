#include "supervisor/fd_shortage.h"

#include <fcntl.h>

#include <vector>

#include "shared/os/fd_limit.h"
#include "shared/os/format.h"
#include "shared/os/unique_fd.h"

namespace baton::supervisor {
namespace {

// How many of so many could be opened now. Tried, since nothing tells how many are open but /proc,
// which a sandbox may hide.
std::uint64_t free_fds(std::uint64_t wanted) {
  std::vector<os::UniqueFd> tried;
  while (tried.size() < wanted) {
    os::UniqueFd fd(::open("/", O_PATH | O_CLOEXEC));
    if (!fd) break;
    tried.push_back(std::move(fd));
  }
  return tried.size();
}

}  // namespace

std::optional<std::string> fd_shortage(std::uint64_t more) {
  const std::uint64_t limit = os::raise_fd_limit();
  const std::uint64_t free = free_fds(more);
  if (free == more) return std::nullopt;
  return os::format(
      "the supervisor needs at least {} open files for a reload, but the limit is {}; raise it "
      "(ulimit -n, LimitNOFILE=), or lower max_draining: each generation that drains takes four",
      limit + more - free, limit);
}

}  // namespace baton::supervisor
