#include "proxy/http/access_log/log_file.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <string>
#include <thread>
#include <utility>

#include "proxy/http/access_log/access_log_config.h"

namespace baton::proxy::http {
namespace {

constexpr int kFlags = O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
constexpr std::size_t kMostBytes = std::size_t{256} * 1024;  // of one write to a regular file

std::uint64_t lines_in(std::string_view text) {
  return static_cast<std::uint64_t>(std::ranges::count(text, '\n'));
}

bool is_fifo(const std::string& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 && S_ISFIFO(status.st_mode);
}

// The last byte of a file that we only write; 0: there is none, or it is not ours to read.
char last_byte(int fd, off_t size) {
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  const os::UniqueFd readable(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  char last = 0;
  if (!readable || size == 0 || ::pread(readable.get(), &last, 1, size - 1) != 1) return 0;
  return last;
}

// Whether a full disk has cut the file's last line. Another generation may be writing right now:
// a file that grows in between is not torn.
bool ends_torn(int fd) {
  constexpr std::chrono::milliseconds kWriteTime{2};
  struct stat before{};
  struct stat after{};
  if (::fstat(fd, &before) != 0) return false;
  const char last = last_byte(fd, before.st_size);
  if (last == 0 || last == '\n') return false;
  std::this_thread::sleep_for(kWriteTime);
  return ::fstat(fd, &after) == 0 && after.st_size == before.st_size;
}

}  // namespace

os::Result<LogFile> LogFile::open(const std::string& path) {
  if (path == AccessLogConfig::kStdout) return open_stdout();
  // A FIFO that has no reader yet cannot be opened for writing alone.
  const int access = is_fifo(path) ? O_RDWR : O_WRONLY | O_CREAT;
  os::UniqueFd fd(::open(path.c_str(), access | kFlags, 0640));
  if (!fd) return os::errno_error("open access log", path);
  return of(std::move(fd), path);
}

// Opened anew where that is possible: O_NONBLOCK on the descriptor we were given would be seen by
// everyone who shares it.
os::Result<LogFile> LogFile::open_stdout() {
  os::UniqueFd fd(::open("/proc/self/fd/1", O_WRONLY | kFlags));
  if (!fd) fd.reset(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0));
  if (!fd) return os::errno_error("open access log", AccessLogConfig::kStdout);
  return of(std::move(fd), AccessLogConfig::kStdout);
}

os::Result<LogFile> LogFile::of(os::UniqueFd fd, const std::string& path) {
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return os::errno_error("stat access log", path);
  const Kind kind = S_ISSOCK(status.st_mode)   ? Kind::Socket
                    : S_ISFIFO(status.st_mode) ? Kind::Pipe
                                               : Kind::Regular;
  LogFile file(std::move(fd), kind);
  file.device_ = status.st_dev;
  file.inode_ = status.st_ino;
  file.torn_ = S_ISREG(status.st_mode) && ends_torn(file.fd_.get());
  return file;
}

bool LogFile::is_same_file(const LogFile& other) const {
  return device_ == other.device_ && inode_ == other.inode_;
}

std::size_t LogFile::next_piece(std::string_view lines) const {
  const std::size_t most = kind_ == Kind::Regular ? kMostBytes : std::size_t{PIPE_BUF};
  // The rest of a line goes first, so that the next write begins with a line.
  if (lines.size() <= most && !within_line_) return lines.size();
  std::size_t end = within_line_ ? lines.npos : lines.substr(0, most).rfind('\n');
  if (end == lines.npos) end = lines.find('\n');
  return std::min(end, lines.size() - 1) + 1;
}

std::int64_t LogFile::write_once(std::string_view bytes) const {
  std::int64_t written;
  do {
    written = kind_ == Kind::Socket
                  ? ::send(fd_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL)
                  : ::write(fd_.get(), bytes.data(), bytes.size());
  } while (written < 0 && errno == EINTR);
  return written;
}

LogFile::Progress LogFile::write(std::string_view& lines) {
  // Without an end of its own the torn line would swallow the next one.
  if (torn_ && write_once("\n") == 1) torn_ = false;
  const std::string_view piece = lines.substr(0, next_piece(lines));
  const std::int64_t written = torn_ ? -1 : write_once(piece);
  if (written > 0) {
    const std::string_view done = piece.substr(0, static_cast<std::size_t>(written));
    lines.remove_prefix(done.size());
    within_line_ = !done.ends_with('\n');
    return {.lines_written = lines_in(done)};
  }
  if (written < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return {.outcome = Outcome::Full};
  torn_ = torn_ || within_line_;
  within_line_ = false;
  lines.remove_prefix(piece.size());
  return {.outcome = Outcome::Failed, .lines_lost = lines_in(piece)};
}

}  // namespace baton::proxy::http
