// Runs part of a test in a process of its own, for what must not happen to the test's: lowered
// limits, dropped privileges, another network.
#pragma once

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

namespace baton::test {

// `body` returns 0, or a number that names the step at fault. The answer is that number, or the
// negative signal that ended the child; it is killed after 20 s.
template <class Body>
int in_child(Body body) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::alarm(20);
    ::_exit(body());
  }
  int status = 0;
  if (pid < 0 || ::waitpid(pid, &status, 0) != pid) return 127;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

// Lowers RLIMIT_NOFILE so that this process can open `count` descriptors more, and no others.
inline bool leave_free_fds(int count) {
  int number = 0;
  for (; count > 0; ++number) {
    if (::fcntl(number, F_GETFD) < 0) --count;
  }
  const rlimit limit{static_cast<rlim_t>(number), static_cast<rlim_t>(number)};
  return ::setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

// This process's network has only 127.0.0.1 from here on. False: it may not have one of its own.
inline bool enter_network_without_ipv6() {
  if (::unshare(CLONE_NEWNET) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return false;
  std::ofstream disable("/proc/sys/net/ipv6/conf/all/disable_ipv6");
  if (!(disable << 1).flush()) return false;
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq loopback{};
  std::memcpy(loopback.ifr_name, "lo", 3);
  loopback.ifr_flags = IFF_UP | IFF_RUNNING;
  const bool up = ::ioctl(fd, SIOCSIFFLAGS, &loopback) == 0;
  ::close(fd);
  return up;
}

}  // namespace baton::test
