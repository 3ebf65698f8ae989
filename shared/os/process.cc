#include "shared/os/process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <string_view>

#include "shared/os/close_at_exec.h"
#include "shared/os/memfd.h"

namespace baton::os {
namespace {

constexpr int kFirstFd = 3;

// The one place that clears CLOEXEC: right before an exec, in the child of spawn() or for good.
bool keep_over_exec(int fd) { return ::fcntl(fd, F_SETFD, 0) == 0; }

int duplicate(int fd, int lowest) {
  const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, lowest);
  if (copy < 0 && errno == EINVAL) errno = EMFILE;  // `lowest` is beyond the limit
  return copy;
}

std::vector<char*> argv_of(const std::vector<std::string>& arguments) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  return argv;
}

// What a service manager has said to this process alone: sd_notify(3), sd_watchdog_enabled(3).
bool is_of_service_manager(std::string_view variable) {
  for (const std::string_view name : {"NOTIFY_SOCKET=", "WATCHDOG_PID=", "WATCHDOG_USEC="}) {
    if (variable.starts_with(name)) return true;
  }
  return false;
}

std::vector<char*> childs_environment() {
  std::vector<char*> kept;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (!is_of_service_manager(*variable)) kept.push_back(*variable);
  }
  kept.push_back(nullptr);
  return kept;
}

// The child's side of spawn(), between vfork() and exec. It runs in the memory of its parent, which
// stands still meanwhile: so nothing here allocates, and it writes to nothing but its own members.
class Exec {
 public:
  explicit Exec(const SpawnOptions& options)
      : binary_(options.binary_fd),
        argv_(argv_of(options.arguments)),
        environment_(childs_environment()),
        inherited_(options.inherited),
        high_(options.inherited.size()) {}

  [[noreturn]] void run() {
    ::setpgid(0, 0);
    // No handler of the parent's may run here, and what it ignores is the child's to decide.
    for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
    if (place_inherited()) {
      release_signals();
      ::syscall(SYS_execveat, binary_, "", argv_.data(), environment_.data(), AT_EMPTY_PATH);
    }
    error_ = errno;
    ::_exit(127);
  }

  // Why there was no exec; 0: there was.
  int error() const { return error_; }

 private:
  // Moves each inherited fd to its target. Sources may overlap targets, so they first go above all.
  bool place_inherited() {
    int above = kFirstFd;
    for (const InheritedFd& fd : inherited_) above = std::max(above, fd.target + 1);
    binary_ = duplicate(binary_, above);
    if (binary_ < 0) return false;
    for (std::size_t i = 0; i < high_.size(); ++i) {
      high_[i] = duplicate(inherited_[i].source, above);
      if (high_[i] < 0) return false;
    }
    close_all_at_exec(kFirstFd);
    for (std::size_t i = 0; i < high_.size(); ++i) {
      if (::dup3(high_[i], inherited_[i].target, O_CLOEXEC) < 0) return false;
      if (!keep_over_exec(inherited_[i].target)) return false;
    }
    return true;
  }

  int binary_;
  std::vector<char*> argv_;
  std::vector<char*> environment_;
  const std::vector<InheritedFd>& inherited_;
  std::vector<int> high_;
  // Written by the child, read by the parent, behind the compiler's back.
  volatile int error_ = 0;
};

}  // namespace

// vfork(2), not fork(2): what the two would cost each other in copied pages afterwards is most of
// what a spawn takes, and a reload spends it while the old generation's clients wait.
Result<Child> spawn(const SpawnOptions& options) {
  const std::string name = options.arguments.empty() ? "" : options.arguments.front();
  Exec exec(options);
  pid_t pid;
  {
    const HeldSignals held;
    pid = ::vfork();
    if (pid == 0) exec.run();
  }
  if (pid < 0) return errno_error("fork", name);
  if (exec.error() != 0) {
    ::waitpid(pid, nullptr, 0);
    // A script's interpreter would look for a path that CLOEXEC has closed: execve(2), ENOENT.
    errno = exec.error() == ENOENT ? ENOEXEC : exec.error();
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
  close_all_at_exec(kFirstFd);
  bool kept = true;
  for (const int fd : options.kept) kept = keep_over_exec(fd) && kept;
  if (kept) ::syscall(SYS_execveat, options.binary_fd, "", argv.data(), environ, AT_EMPTY_PATH);
  auto error = errno_error("run", name);
  close_all_at_exec(kFirstFd);
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

bool is_same_process(std::string_view identity, std::string_view other) {
  const auto boot = [](std::string_view of) { return of.substr(0, of.rfind(' ')); };
  const auto start = [](std::string_view of) { return of.substr(of.rfind(' ') + 1); };
  if (identity.empty() || start(identity) != start(other)) return false;
  return boot(identity).empty() || boot(other).empty() || boot(identity) == boot(other);
}

Result<UniqueFd> find_process(pid_t pid, const std::string& identity) {
  const std::string name = "process " + std::to_string(pid);
  UniqueFd pidfd(pid > 0 ? static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)) : -1);
  if (!pidfd) return plain_error("has ended:", name);
  // Only now: whatever has this pid is held by the descriptor.
  const auto found = process_identity(pid);
  pollfd ended{.fd = pidfd.get(), .events = POLLIN, .revents = 0};
  if (!found || !is_same_process(*found, identity) || ::poll(&ended, 1, 0) != 0) {
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
