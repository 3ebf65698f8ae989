#include "shared/os/close_at_exec.h"

#include <doctest/doctest.h>
#include <fcntl.h>

#include "shared/os/unique_fd.h"
#include "tests/unit/in_child.h"

using namespace baton;

namespace {

bool closes_at_exec(int fd) { return (::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0; }

int open_number(int lowest) { return ::fcntl(0, F_DUPFD, lowest); }

}  // namespace

TEST_CASE("close at exec: every descriptor from the first on, and none before it") {
  for (const auto close : {os::close_all_at_exec, os::close_each_at_exec}) {
    CHECK(test::in_child([close] {
            const os::UniqueFd before(open_number(40));
            if (before.get() != 40) return 1;
            // More than fit into one reading of the directory.
            for (int i = 0; i < 400; ++i) {
              if (open_number(41) < 0) return 2;
            }
            close(41);
            if (closes_at_exec(40) || closes_at_exec(0)) return 3;
            for (int fd = 41; fd < 441; ++fd) {
              if (!closes_at_exec(fd)) return 4;
            }
            return 0;
          }) == 0);
  }
}
