// A forked process that shares the region with the test, and can be killed.
#pragma once

#include <doctest/doctest.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "shared/os/unique_fd.h"

namespace baton::region {

// Nothing here takes longer than milliseconds; a process that is not done by then hangs.
inline constexpr int kDeadlineMs = 20'000;

class Child {
 public:
  // Runs `body` in a process of its own. `reached` tells the test how far it is.
  explicit Child(const std::function<void(const std::function<void()>& reached)>& body) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    progress_.reset(ends[0]);
    os::UniqueFd write_end(ends[1]);
    pid_ = ::fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) {
      ::alarm(2 * kDeadlineMs / 1000);
      body([&] { [[maybe_unused]] const auto written = ::write(write_end.get(), "x", 1); });
      ::_exit(0);
    }
    pidfd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
    REQUIRE(pidfd_.valid());
  }
  ~Child() {
    if (pid_ > 0) kill();
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void wait_until_reached() {
    char byte;
    await(progress_.get());
    REQUIRE_MESSAGE(::read(progress_.get(), &byte, 1) == 1, "the child ended early");
  }
  void stop() {
    ::kill(pid_, SIGSTOP);
    int status = 0;
    REQUIRE(::waitpid(pid_, &status, WUNTRACED) == pid_);
    REQUIRE(WIFSTOPPED(status));
  }
  void kill() {
    ::kill(pid_, SIGKILL);
    finish();
  }
  // Its exit status.
  int finish() {
    await(pidfd_.get());
    int status = 0;
    REQUIRE(::waitpid(pid_, &status, 0) == pid_);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  pid_t pid() const { return pid_; }

 private:
  static void await(int fd) {
    pollfd watched{.fd = fd, .events = POLLIN, .revents = 0};
    REQUIRE_MESSAGE(::poll(&watched, 1, kDeadlineMs) == 1, "the child hangs");
  }

  pid_t pid_ = -1;
  os::UniqueFd progress_;
  os::UniqueFd pidfd_;
};

// For a child's body: never returns, so that only a kill ends it.
[[noreturn]] inline void wait_to_be_killed() {
  for (;;) ::pause();
}

}  // namespace baton::region
