#include "supervisor/inherited_fds.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/syscall.h>

#include <cstdlib>
#include <functional>

#include "tests/unit/in_child.h"

namespace baton::supervisor {
namespace {

using test::in_child;

// In a process of its own, with `open` descriptors from 3 on and nothing above.
int with_fds(int open, const std::function<int()>& body) {
  return in_child([&] {
    ::syscall(SYS_close_range, 3, ~0U, 0);
    for (int i = 0; i < open; ++i) {
      if (::open("/dev/null", O_RDONLY) != 3 + i) return 100;
    }
    return body();
  });
}

void pass(const std::string& count, const char* names, pid_t pid = ::getpid()) {
  ::setenv("LISTEN_PID", std::to_string(pid).c_str(), 1);
  ::setenv("LISTEN_FDS", count.c_str(), 1);
  if (names != nullptr) ::setenv("LISTEN_FDNAMES", names, 1);
}

bool environment_is_clean() {
  return std::getenv("LISTEN_PID") == nullptr && std::getenv("LISTEN_FDS") == nullptr &&
         std::getenv("LISTEN_FDNAMES") == nullptr;
}

TEST_CASE("inherited fds: each has its name, is close-on-exec, and nobody is told of it again") {
  const int failed = with_fds(2, [] {
    pass("2", "web:baton-region");
    const auto fds = take_inherited_fds();
    if (fds.size() != 2) return 1;
    if (fds[0].name != "web" || fds[1].name != "baton-region") return 2;
    if (fds[0].fd.get() != 3 || fds[1].fd.get() != 4) return 3;
    if (::fcntl(3, F_GETFD) != FD_CLOEXEC || ::fcntl(4, F_GETFD) != FD_CLOEXEC) return 4;
    if (!environment_is_clean()) return 5;
    return take_inherited_fds().empty() ? 0 : 6;
  });
  CHECK(failed == 0);
}

TEST_CASE("inherited fds: a name that is missing is \"unknown\"") {
  const int failed = with_fds(3, [] {
    pass("3", "a:");
    const auto fds = take_inherited_fds();
    if (fds.size() != 3) return 1;
    return fds[0].name == "a" && fds[1].name == "unknown" && fds[2].name == "unknown" ? 0 : 2;
  });
  CHECK(failed == 0);
}

TEST_CASE("inherited fds: those of another process are left alone, and not passed on") {
  const int failed = with_fds(1, [] {
    pass("1", nullptr, ::getppid());
    if (!take_inherited_fds().empty()) return 1;
    if (::fcntl(3, F_GETFD) != 0) return 2;
    return environment_is_clean() ? 0 : 3;
  });
  CHECK(failed == 0);
}

TEST_CASE("inherited fds: what is promised and not there is left out") {
  const int failed = with_fds(1, [] {
    pass("2", "there:not");
    const auto fds = take_inherited_fds();
    return fds.size() == 1 && fds[0].name == "there" ? 0 : 1;
  });
  CHECK(failed == 0);
}

TEST_CASE("inherited fds: a count that makes no sense is no count") {
  for (const char* count : {"", "-1", "2x", "99999999999999999999", "2000000000"}) {
    CAPTURE(count);
    const int failed = with_fds(1, [&] {
      pass(count, nullptr);
      if (!take_inherited_fds().empty()) return 1;
      return environment_is_clean() ? 0 : 2;
    });
    CHECK(failed == 0);
  }
}

}  // namespace
}  // namespace baton::supervisor
