#include "proxy/server/system_call_filter.h"

#include <doctest/doctest.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "tests/unit/in_child.h"

using namespace baton;

TEST_CASE("system call filter: what waits in a socket may be asked for") {
  CHECK(test::in_child([] {
          int ends[2];
          if (::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return 1;
          if (!proxy::restrict_system_calls()) return 0;  // a kernel without
          if (::send(ends[0], "x", 1, 0) != 1) return 2;
          int bytes = 0;
          if (::ioctl(ends[0], SIOCOUTQ, &bytes) != 0 || bytes == 0) return 3;
          if (::ioctl(ends[1], FIONREAD, &bytes) != 0 || bytes != 1) return 4;
          return 0;
        }) == 0);
}
