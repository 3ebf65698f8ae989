#include "shared/os/error.h"

#include <doctest/doctest.h>

#include <cerrno>

using namespace baton::os;

TEST_CASE("error: one line for a user, of whatever parts there are") {
  CHECK(Error{EADDRINUSE, "bind", "127.0.0.1:80"}.text() ==
        "bind 127.0.0.1:80: Address already in use");
  CHECK(Error{ENOMEM, "fork", ""}.text() == "fork: Cannot allocate memory");
  CHECK(Error{0, "no port in", "localhost"}.text() == "no port in localhost");
  CHECK(Error{0, "", "x"}.text() == "x");
}

TEST_CASE("error: of a system call that has just failed") {
  errno = ENOENT;
  const Result<int> result = errno_error("open", "/x");
  REQUIRE_FALSE(result);
  CHECK(result.error().code == ENOENT);
  CHECK(result.error().text() == "open /x: No such file or directory");
}
