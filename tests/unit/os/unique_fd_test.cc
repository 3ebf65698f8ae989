#include "shared/os/unique_fd.h"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <fstream>
#include <string>

#include "shared/os/fd_limit.h"
#include "tests/unit/in_child.h"

using namespace baton;
using baton::os::UniqueFd;

namespace {

// The slots of this process's descriptor table, proc_pid_status(5).
long fd_table_size() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("FDSize:")) return std::stol(line.substr(7));
  }
  return 0;
}

UniqueFd open_null() { return UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }
bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

}  // namespace

TEST_CASE("unique fd: closes what it owns, once, and nothing it has given away") {
  UniqueFd first = open_null();
  const int number = first.get();
  UniqueFd second = std::move(first);
  CHECK_FALSE(first.valid());
  CHECK(second.get() == number);
  CHECK(is_open(number));

  UniqueFd other = open_null();
  const int replaced = other.get();
  other = std::move(second);
  CHECK_FALSE(is_open(replaced));
  CHECK(is_open(number));

  const int released = other.release();
  CHECK(released == number);
  other.reset();
  CHECK(is_open(number));
  {
    const UniqueFd last(released);
  }
  CHECK_FALSE(is_open(number));
}

TEST_CASE("unique fd: moved onto itself it stays") {
  UniqueFd fd = open_null();
  UniqueFd& same = fd;
  fd = std::move(same);
  CHECK(fd.valid());
  CHECK(is_open(fd.get()));
}

TEST_CASE("fd limit: raised to the hard one, which is what it says") {
  CHECK(test::in_child([] {
          rlimit limit{};
          ::getrlimit(RLIMIT_NOFILE, &limit);
          limit.rlim_cur = 64;
          if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) return 1;
          if (os::raise_fd_limit() != limit.rlim_max) return 2;
          ::getrlimit(RLIMIT_NOFILE, &limit);
          return limit.rlim_cur == limit.rlim_max ? 0 : 3;
        }) == 0);
}

TEST_CASE("fd limit: room for descriptors is made at once, up to the limit, and none stays open") {
  CHECK(test::in_child([] {
          rlimit limit{};
          ::getrlimit(RLIMIT_NOFILE, &limit);
          limit.rlim_cur = 2000;
          if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) return 1;
          const auto next = os::next_fd();
          os::reserve_fds(1000);
          if (fd_table_size() < 1000 || fd_table_size() >= 2000) return 2;
          os::reserve_fds(1'000'000);
          if (fd_table_size() < 2000) return 3;
          return os::next_fd() == next ? 0 : 4;
        }) == 0);
}
