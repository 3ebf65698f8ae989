#include "shared/os/log.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <climits>
#include <string>

#include "shared/os/unique_fd.h"
#include "tests/unit/in_child.h"

namespace baton::log {
namespace {

// A pipe in the place of standard error, as small as there is one.
class StandardError {
 public:
  StandardError() {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    read_end_.reset(ends[0]);
    ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
    REQUIRE(::fcntl(ends[1], F_SETPIPE_SZ, 4096) > 0);
    REQUIRE(::dup2(ends[1], STDERR_FILENO) == STDERR_FILENO);
    ::close(ends[1]);
  }
  std::string read() {
    std::string all;
    char some[4096];
    for (ssize_t count; (count = ::read(read_end_.get(), some, sizeof some)) > 0;) {
      all.append(some, static_cast<std::size_t>(count));
    }
    return all;
  }

 private:
  os::UniqueFd read_end_;
};

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE(
    "log: nobody waits for a reader that has stopped, and a later line says what is missing") {
  CHECK(test::in_child([] {
          StandardError standard_error;
          init({.program = "test"});
          const std::string long_one(1000, 'x');
          for (int i = 0; i < 10; ++i) info("{} {}", i, long_one);
          const std::string first = standard_error.read();
          if (!contains(first, ": 0 xxx") || contains(first, ": 9 xxx")) return 1;
          info("after");
          const std::string then = standard_error.read();
          if (!contains(then, "lines are missing here")) return 2;
          if (!contains(then, ": after\n")) return 3;
          info("more");
          return contains(standard_error.read(), "missing") ? 4 : 0;
        }) == 0);
}

TEST_CASE("log: a line that is too long for a pipe to take in one piece is cut, in JSON, too") {
  CHECK(test::in_child([] {
          StandardError standard_error;
          init({.program = "test", .format = Format::Json});
          info("{}", std::string(5000, '\n'));
          const std::string line = standard_error.read();
          if (line.empty() || line.size() > PIPE_BUF) return 1;
          return line.ends_with("\"}\n") ? 0 : 2;
        }) == 0);
}

TEST_CASE("log: JSON is UTF-8 whatever a message holds, also where it is cut") {
  CHECK(test::in_child([] {
          StandardError standard_error;
          init({.program = "test", .format = Format::Json});
          info("\"caf\xc3\xa9\" caf\xe9");
          if (!standard_error.read().ends_with("\"\\\"caf\xc3\xa9\\\" caf\\ufffd\"}\n")) return 1;
          std::string two_bytes_each = "x";
          for (int i = 0; i < 3000; ++i) two_bytes_each += "\xc3\xa9";
          info("{}", two_bytes_each);
          return standard_error.read().ends_with("\xc3\xa9\\ufffd\"}\n") ? 0 : 2;
        }) == 0);
}

}  // namespace
}  // namespace baton::log
