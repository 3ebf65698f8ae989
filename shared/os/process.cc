#include "shared/os/process.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "shared/os/memfd.h"

namespace baton::os {
namespace {

constexpr int kFirstFd = 3;

// The one place that clears CLOEXEC: right before an exec, in the child of spawn() or for good.
bool keep_over_exec(int fd) { return ::fcntl(fd, F_SETFD, 0) == 0; }

void close_all_at_exec() { ::syscall(SYS_close_range, kFirstFd, ~0U, CLOSE_RANGE_CLOEXEC); }

std::vector<char*> argv_of(const std::vector<std::string>& arguments) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  return argv;
}

// Moves each inherited fd to its target. Sources may overlap targets, so they first go above all.
bool place_inherited(const std::vector<InheritedFd>& inherited, int binary_fd, int& moved_binary,
                     int& error_fd) {
  int above = kFirstFd;
  for (const InheritedFd& fd : inherited) above = fd.target >= above ? fd.target + 1 : above;
  const int moved_error = ::fcntl(error_fd, F_DUPFD_CLOEXEC, above);
  if (moved_error < 0) return false;  // reported on the one it has
  error_fd = moved_error;
  moved_binary = ::fcntl(binary_fd, F_DUPFD_CLOEXEC, above);
  if (moved_binary < 0) return false;
  std::vector<int> high;
  for (const InheritedFd& fd : inherited) {
    high.push_back(::fcntl(fd.source, F_DUPFD_CLOEXEC, above));
    if (high.back() < 0) return false;
  }
  close_all_at_exec();
  for (std::size_t i = 0; i < inherited.size(); ++i) {
    if (::dup3(high[i], inherited[i].target, O_CLOEXEC) < 0) return false;
    if (!keep_over_exec(inherited[i].target)) return false;
  }
  return true;
}

// What a service manager has said to this process alone: sd_notify(3), sd_watchdog_enabled(3).
void forget_service_manager() {
  for (const char* variable : {"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"}) {
    ::unsetenv(variable);
  }
}

[[noreturn]] void run_child(const SpawnOptions& options, int error_fd) {
  ::setpgid(0, 0);
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
  release_signals();
  forget_service_manager();
  std::vector<char*> argv = argv_of(options.arguments);
  int binary = -1;
  if (place_inherited(options.inherited, options.binary_fd, binary, error_fd)) {
    ::syscall(SYS_execveat, binary, "", argv.data(), environ, AT_EMPTY_PATH);
  }
  const int error = errno;
  [[maybe_unused]] const ssize_t written = ::write(error_fd, &error, sizeof error);
  ::_exit(127);
}

}  // namespace

Result<Child> spawn(const SpawnOptions& options) {
  const std::string name = options.arguments.empty() ? "" : options.arguments.front();
  int pipe_fds[2];
  if (::pipe2(pipe_fds, O_CLOEXEC) != 0) return errno_error("pipe");
  const UniqueFd read_end(pipe_fds[0]);
  UniqueFd write_end(pipe_fds[1]);
  const pid_t pid = ::fork();
  if (pid < 0) return errno_error("fork", name);
  if (pid == 0) run_child(options, write_end.get());
  write_end.reset();

  int exec_error = 0;
  ssize_t count;
  do {
    count = ::read(read_end.get(), &exec_error, sizeof exec_error);
  } while (count < 0 && errno == EINTR);
  if (count == sizeof exec_error) {
    ::waitpid(pid, nullptr, 0);
    // A script's interpreter would look for a path that CLOEXEC has closed: execve(2), ENOENT.
    errno = exec_error == ENOENT ? ENOEXEC : exec_error;
    return errno_error("run", name);
  }
  Child child{pid, UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)))};
  if (!child.pidfd) {
    const auto error = errno_error("pidfd_open", name);
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return error;
  }
  return child;
}

HeldSignals::HeldSignals() {
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, &before_);
}

HeldSignals::~HeldSignals() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }

void release_signals() {
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

Error replace_program(const ReplaceOptions& options) {
  const std::string name = options.arguments.empty() ? "" : options.arguments.front();
  std::vector<char*> argv = argv_of(options.arguments);
  close_all_at_exec();
  bool kept = true;
  for (const int fd : options.kept) kept = keep_over_exec(fd) && kept;
  if (kept) ::syscall(SYS_execveat, options.binary_fd, "", argv.data(), environ, AT_EMPTY_PATH);
  auto error = errno_error("run", name);
  close_all_at_exec();
  return std::move(error.error());
}

Result<std::string> process_identity(pid_t pid) {
  constexpr std::size_t kMostBytes = 4096;
  // The name, in brackets, may hold anything; behind it the start is the 20th field.
  constexpr int kStartField = 20;
  const std::string path = "/proc/" + std::to_string(pid) + "/stat";
  // Hidden from a process that sees nothing of /proc but processes.
  const std::string boot = read_file("/proc/sys/kernel/random/boot_id", kMostBytes).value_or("");
  const auto stat = read_file(path, kMostBytes);
  if (!stat) return std::unexpected(stat.error());
  std::istringstream fields(stat->substr(std::min(stat->rfind(')') + 1, stat->size())));
  std::string start;
  for (int i = 0; i < kStartField; ++i) fields >> start;
  if (!fields) return plain_error("cannot make sense of", path);
  return boot.substr(0, boot.find('\n')) + " " + start;
}

Result<UniqueFd> find_process(pid_t pid, const std::string& identity) {
  const std::string name = "process " + std::to_string(pid);
  UniqueFd pidfd(pid > 0 ? static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)) : -1);
  if (!pidfd) return plain_error("has ended:", name);
  // Only now: whatever has this pid is held by the descriptor.
  const auto found = process_identity(pid);
  pollfd ended{.fd = pidfd.get(), .events = POLLIN, .revents = 0};
  if (!found || *found != identity || ::poll(&ended, 1, 0) != 0) {
    return plain_error("has ended:", name);
  }
  return pidfd;
}

bool send_signal(int pidfd, int signal) {
  return ::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0) == 0;
}

std::string ExitStatus::text() const {
  if (!known) return "ended";
  if (signal == 0) return "exited with status " + std::to_string(code);
  return "killed by signal " + std::to_string(signal) + " (" + ::strsignal(signal) + ")";
}

Result<ExitStatus> reap(int pidfd) {
  siginfo_t info{};
  if (::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(pidfd), &info,
               WEXITED | WNOHANG) != 0) {
    return errno_error("waitid");
  }
  if (info.si_pid == 0) return plain_error("still running");
  if (info.si_code == CLD_EXITED) return ExitStatus{.code = info.si_status};
  return ExitStatus{.signal = info.si_status};
}

}  // namespace baton::os
