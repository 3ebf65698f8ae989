#include "shared/os/close_at_exec.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <charconv>
#include <cstddef>
#include <cstring>

namespace baton::os {
namespace {

// Of getdents64(2), whose structure no header has under a name of its own but this one.
using Entry = dirent64;

void close_at_exec(int fd) {
  if (const int flags = ::fcntl(fd, F_GETFD); flags >= 0) ::fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
}

// Without /proc: numbers above the limit are not reached, if it was lowered.
void close_up_to_limit(int first) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  for (int fd = first; static_cast<rlim_t>(fd) < limit.rlim_cur; ++fd) close_at_exec(fd);
}

}  // namespace

void close_all_at_exec(int first) {
  if (::syscall(SYS_close_range, first, ~0U, CLOSE_RANGE_CLOEXEC) != 0) close_each_at_exec(first);
}

void close_each_at_exec(int first) {
  const int directory = ::open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return close_up_to_limit(first);
  alignas(Entry) char buffer[4096];
  for (;;) {
    const long count = ::syscall(SYS_getdents64, directory, buffer, sizeof buffer);
    if (count <= 0) break;
    for (long at = 0; at < count;) {
      const auto* const entry = reinterpret_cast<const Entry*>(buffer + at);
      int fd = -1;
      std::from_chars(entry->d_name, entry->d_name + std::strlen(entry->d_name), fd);
      if (fd >= first) close_at_exec(fd);
      at += entry->d_reclen;
    }
  }
  ::close(directory);
}

}  // namespace baton::os
