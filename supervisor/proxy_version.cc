#include "supervisor/proxy_version.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "shared/os/process.h"

namespace baton::supervisor {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxBytes = 4096;

// False: not before the deadline.
bool wait_readable(int fd, Clock::time_point deadline) {
  pollfd readable{.fd = fd, .events = POLLIN};
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    const int ready = ::poll(&readable, 1, std::max(0, static_cast<int>(left.count())));
    if (ready >= 0 || errno != EINTR) return ready > 0;
  }
}

// What the child writes until it closes its output, says too much or takes too long.
std::string read_answer(int fd, Clock::time_point deadline) {
  std::string text;
  char bytes[512];
  while (text.size() < kMaxBytes && wait_readable(fd, deadline)) {
    const ssize_t count = ::read(fd, bytes, sizeof bytes);
    if (count <= 0) break;
    text.append(bytes, static_cast<std::size_t>(count));
  }
  return text;
}

}  // namespace

os::Result<std::string> proxy_version(int binary_fd, const std::string& path) {
  const os::UniqueFd nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!nothing) return os::errno_error("open", "/dev/null");
  int pipe_fds[2];
  if (::pipe2(pipe_fds, O_CLOEXEC) != 0) return os::errno_error("pipe");
  const os::UniqueFd read_end(pipe_fds[0]);
  os::UniqueFd write_end(pipe_fds[1]);
  const auto child = os::spawn({.binary_fd = binary_fd,
                                .arguments = {path, "--version"},
                                .inherited = {{nothing.get(), STDIN_FILENO},
                                              {write_end.get(), STDOUT_FILENO},
                                              {nothing.get(), STDERR_FILENO}}});
  if (!child) return std::unexpected(child.error());
  write_end.reset();
  const auto deadline = Clock::now() + kVersionTime;
  const std::string text = read_answer(read_end.get(), deadline);
  if (!wait_readable(child->pidfd.get(), deadline)) os::send_signal(child->pidfd.get(), SIGKILL);
  while (!wait_readable(child->pidfd.get(), Clock::now() + kVersionTime)) {
  }
  static_cast<void>(os::reap(child->pidfd.get()));
  const std::size_t begin = kProxyVersionPrefix.size();
  const std::size_t end = std::min(text.find('\n'), text.size());
  if (!text.starts_with(kProxyVersionPrefix) || end == begin) {
    return os::plain_error("not a Baton proxy:", path);
  }
  return text.substr(begin, end - begin);
}

}  // namespace baton::supervisor
