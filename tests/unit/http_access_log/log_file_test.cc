#include "proxy/http/access_log/log_file.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

#include "tests/unit/http_access_log/log_directory.h"

using namespace baton;
using fixture::LogDirectory;
using proxy::http::LogFile;
using Outcome = LogFile::Outcome;

namespace {

LogFile opened(const std::string& path) {
  auto file = LogFile::open(path);
  REQUIRE(file);
  return *std::move(file);
}

// Standard output is `fd` in between.
class OtherStdout {
 public:
  explicit OtherStdout(int fd) : before_(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)) {
    ::fflush(stdout);
    REQUIRE(::dup2(fd, STDOUT_FILENO) == STDOUT_FILENO);
  }
  ~OtherStdout() { ::dup2(before_.get(), STDOUT_FILENO); }

 private:
  os::UniqueFd before_;
};

// Files cannot grow beyond it, as on a full disk.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    ::signal(SIGXFSZ, SIG_IGN);
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &before_) == 0);
    const rlimit lower{.rlim_cur = bytes, .rlim_max = before_.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &lower) == 0);
  }
  ~FileSizeLimit() { ::setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

std::string read_some(int fd) {
  std::string text(1 << 16, '\0');
  const ssize_t size = ::read(fd, text.data(), text.size());
  text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  return text;
}

}  // namespace

TEST_CASE("log file: it appends, for several at once") {
  const LogDirectory directory;
  LogFile one = opened(directory.file("log"));
  LogFile other = opened(directory.file("log"));
  for (std::string_view lines = "a\nb\n"; !lines.empty();) {
    CHECK(one.write(lines).lines_written == 2);
  }
  std::string_view more = "c\n";
  CHECK(other.write(more).outcome == Outcome::Written);
  more = "d\n";
  CHECK(one.write(more).outcome == Outcome::Written);
  CHECK(directory.content("log") == "a\nb\nc\nd\n");
}

TEST_CASE("log file: others than owner and group do not read it") {
  const LogDirectory directory;
  const LogFile file = opened(directory.file("log"));
  struct stat status{};
  REQUIRE(::fstat(file.fd(), &status) == 0);
  CHECK((status.st_mode & 0137) == 0);
}

TEST_CASE("log file: what cannot be opened is an error that names it") {
  const LogDirectory directory;
  CHECK(LogFile::open(directory.file("none/log")).error().text() ==
        "open access log " + directory.file("none/log") + ": No such file or directory");
  CHECK(LogFile::open(directory.file("")).error().code == EISDIR);
}

TEST_CASE("log file: a write to a pipe is small and ends with a line") {
  const LogDirectory directory;
  REQUIRE(::mkfifo(directory.file("fifo").c_str(), 0600) == 0);
  LogFile file = opened(directory.file("fifo"));
  const std::string text = std::string(3000, 'a') + "\n" + std::string(3000, 'b') + "\n";
  std::string_view lines = text;
  CHECK(file.write(lines).lines_written == 1);
  CHECK(lines == text.substr(3001));
  CHECK(file.write(lines).lines_written == 1);
  CHECK(lines.empty());
}

TEST_CASE("log file: a full pipe is not waited for, and nothing is lost") {
  const LogDirectory directory;
  REQUIRE(::mkfifo(directory.file("fifo").c_str(), 0600) == 0);
  LogFile file = opened(directory.file("fifo"));
  const std::string line(100, 'x');
  std::uint64_t written = 0;
  for (;;) {
    const std::string text = line + "\n";
    std::string_view lines = text;
    const LogFile::Progress progress = file.write(lines);
    written += progress.lines_written;
    if (progress.outcome == Outcome::Full) {
      CHECK(lines == text);
      break;
    }
    REQUIRE(written < 100'000);
  }
  CHECK(written > 0);
}

TEST_CASE("log file: a full disk loses lines, and says so") {
  LogFile file = opened("/dev/full");
  std::string_view lines = "a\nb\n";
  const LogFile::Progress progress = file.write(lines);
  CHECK(progress.outcome == Outcome::Failed);
  CHECK(errno == ENOSPC);
  CHECK(progress.lines_lost == 2);
  CHECK(lines.empty());
}

TEST_CASE("log file: a line that a full disk has cut does not swallow the next one") {
  const LogDirectory directory;
  LogFile file = opened(directory.file("log"));
  std::string_view lines = "aaaaaaa\nbbbbbbb\nccccccc\n";
  {
    const FileSizeLimit limit(10);
    CHECK(file.write(lines).lines_written == 1);
    CHECK(file.within_line());
    LogFile::Progress progress = file.write(lines);
    CHECK(progress.outcome == Outcome::Failed);
    CHECK(progress.lines_lost == 1);
    progress = file.write(lines);
    CHECK(progress.outcome == Outcome::Failed);
    CHECK(progress.lines_lost == 1);
    CHECK(lines.empty());
  }
  lines = "d\n";
  CHECK(file.write(lines).lines_written == 1);
  CHECK(directory.content("log") == "aaaaaaa\nbb\nd\n");
}

TEST_CASE("log file: what was cut before it was opened does not swallow the first line") {
  const LogDirectory directory;
  const auto first_line = [&](std::string_view there) {
    std::ofstream(directory.file("log")) << there;
    LogFile file = opened(directory.file("log"));
    std::string_view lines = "d\n";
    CHECK(file.write(lines).lines_written == 1);
    return directory.content("log");
  };
  CHECK(first_line("a\nbb") == "a\nbb\nd\n");
  CHECK(first_line("a\n") == "a\nd\n");
  CHECK(first_line("") == "d\n");
}

TEST_CASE("log file: one that was not moved away is the same") {
  const LogDirectory directory;
  const LogFile file = opened(directory.file("log"));
  CHECK(file.is_same_file(opened(directory.file("log"))));
  std::filesystem::rename(directory.file("log"), directory.file("log.1"));
  CHECK_FALSE(file.is_same_file(opened(directory.file("log"))));
}

TEST_CASE("log file: standard output, if it is a pipe, stays blocking for everyone else") {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const os::UniqueFd reader(ends[0]);
  const os::UniqueFd writer(ends[1]);
  auto file = [&] {
    const OtherStdout other(writer.get());
    return LogFile::open("stdout");
  }();
  REQUIRE(file);
  std::string_view lines = "a\n";
  CHECK(file->write(lines).lines_written == 1);
  CHECK(read_some(reader.get()) == "a\n");
  CHECK((::fcntl(writer.get(), F_GETFL) & O_NONBLOCK) == 0);
  CHECK((::fcntl(file->fd(), F_GETFL) & O_NONBLOCK) != 0);
}

TEST_CASE("log file: standard output, if it is a socket, is not waited for either") {
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  const os::UniqueFd reader(ends[0]);
  const os::UniqueFd writer(ends[1]);
  auto file = [&] {
    const OtherStdout other(writer.get());
    return LogFile::open("stdout");
  }();
  REQUIRE(file);
  const std::string text(1000, 'x');
  Outcome outcome = Outcome::Written;
  for (int i = 0; i < 100'000 && outcome == Outcome::Written; ++i) {
    const std::string line = text + "\n";
    std::string_view lines = line;
    outcome = file->write(lines).outcome;
  }
  CHECK(outcome == Outcome::Full);
  CHECK((::fcntl(writer.get(), F_GETFL) & O_NONBLOCK) == 0);
}
