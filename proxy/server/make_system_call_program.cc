// Prints what the proxy may ask of the kernel as the program of a filter (seccomp(2)), for
// system_call_filter.cc. Run by the build: libseccomp takes longer for this than all else that a
// generation does before it serves.
#include <linux/filter.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <type_traits>
#include <vector>

#include "proxy/server/own_pid.h"

namespace {

// Whatever their arguments.
constexpr int kAllowed[] = {
    // Connections.
    SCMP_SYS(accept),
    SCMP_SYS(accept4),
    SCMP_SYS(bind),
    SCMP_SYS(connect),
    SCMP_SYS(getpeername),
    SCMP_SYS(getsockname),
    SCMP_SYS(getsockopt),
    SCMP_SYS(io_uring_enter),
    SCMP_SYS(listen),
    SCMP_SYS(recv),
    SCMP_SYS(recvfrom),
    SCMP_SYS(recvmmsg),
    SCMP_SYS(recvmsg),
    SCMP_SYS(send),
    SCMP_SYS(sendfile),
    SCMP_SYS(sendmmsg),
    SCMP_SYS(sendmsg),
    SCMP_SYS(sendto),
    SCMP_SYS(setsockopt),
    SCMP_SYS(shutdown),
    SCMP_SYS(splice),
    // Waiting.
    SCMP_SYS(clock_getres),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_pwait2),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(eventfd2),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(nanosleep),
    SCMP_SYS(pause),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(pselect6),
    SCMP_SYS(select),
    SCMP_SYS(setitimer),
    SCMP_SYS(time),
    SCMP_SYS(timerfd_create),
    SCMP_SYS(timerfd_gettime),
    SCMP_SYS(timerfd_settime),
    // Files: the configuration's, logs, /proc.
    SCMP_SYS(access),
    SCMP_SYS(close),
    SCMP_SYS(close_range),
    SCMP_SYS(dup),
    SCMP_SYS(dup2),
    SCMP_SYS(dup3),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(fallocate),
    SCMP_SYS(fcntl),
    SCMP_SYS(fdatasync),
    SCMP_SYS(flock),
    SCMP_SYS(fstat),
    SCMP_SYS(fstatfs),
    SCMP_SYS(fsync),
    SCMP_SYS(ftruncate),
    SCMP_SYS(getcwd),
    SCMP_SYS(getdents64),
    SCMP_SYS(inotify_add_watch),
    SCMP_SYS(inotify_init1),
    SCMP_SYS(inotify_rm_watch),
    SCMP_SYS(lseek),
    SCMP_SYS(lstat),
    SCMP_SYS(memfd_create),
    SCMP_SYS(newfstatat),
    SCMP_SYS(open),
    SCMP_SYS(openat),
    SCMP_SYS(pipe2),
    SCMP_SYS(pread64),
    SCMP_SYS(preadv),
    SCMP_SYS(pwrite64),
    SCMP_SYS(pwritev),
    SCMP_SYS(pwritev2),
    SCMP_SYS(read),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(readv),
    SCMP_SYS(stat),
    SCMP_SYS(statfs),
    SCMP_SYS(statx),
    SCMP_SYS(umask),
    SCMP_SYS(unlink),
    SCMP_SYS(unlinkat),
    SCMP_SYS(write),
    SCMP_SYS(writev),
    // Memory that holds data.
    SCMP_SYS(brk),
    SCMP_SYS(madvise),
    SCMP_SYS(mlock),
    SCMP_SYS(mlock2),
    SCMP_SYS(mremap),
    SCMP_SYS(msync),
    SCMP_SYS(munlock),
    SCMP_SYS(munmap),
    // Threads, signals, what a process may know of itself and of those it watches.
    SCMP_SYS(capget),
    SCMP_SYS(capset),  // to have fewer: nobody gets more by it
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(futex),
    SCMP_SYS(get_robust_list),
    SCMP_SYS(getcpu),
    SCMP_SYS(getegid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getgroups),
    SCMP_SYS(getpgid),
    SCMP_SYS(getpid),
    SCMP_SYS(getppid),
    SCMP_SYS(getrandom),
    SCMP_SYS(getresgid),
    SCMP_SYS(getresuid),
    SCMP_SYS(getrlimit),
    SCMP_SYS(getrusage),
    SCMP_SYS(gettid),
    SCMP_SYS(getuid),
    SCMP_SYS(membarrier),
    SCMP_SYS(pidfd_open),
    SCMP_SYS(prctl),
    SCMP_SYS(prlimit64),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(rseq),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigpending),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigsuspend),
    SCMP_SYS(rt_sigtimedwait),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sched_yield),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(set_tid_address),
    SCMP_SYS(setrlimit),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(signalfd4),
    SCMP_SYS(sysinfo),
    SCMP_SYS(times),
    SCMP_SYS(ugetrlimit),
    SCMP_SYS(uname),
    SCMP_SYS(wait4),
    SCMP_SYS(waitid),
};

struct Release {
  void operator()(scmp_filter_ctx context) const { ::seccomp_release(context); }
};
using Context = std::unique_ptr<std::remove_pointer_t<scmp_filter_ctx>, Release>;

struct Close {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

// Collects the rules; the first that fails is the error.
class Rules {
 public:
  explicit Rules(scmp_filter_ctx context) : context_(context) {}

  void allow(int call) { note(::seccomp_rule_add(context_, SCMP_ACT_ALLOW, call, 0)); }
  void allow_if(int call, scmp_arg_cmp condition) {
    note(::seccomp_rule_add_array(context_, SCMP_ACT_ALLOW, call, 1, &condition));
  }
  int error() const { return error_; }

 private:
  void note(int result) {
    if (error_ == 0) error_ = -result;
  }

  scmp_filter_ctx context_;
  int error_ = 0;
};

void add_rules(Rules& rules) {
  for (const int call : kAllowed) rules.allow(call);
  // A thread, not a process. clone3 hides its flags from a filter: the C library does without.
  rules.allow_if(SCMP_SYS(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
  for (const int family : {AF_UNIX, AF_INET, AF_INET6}) {
    rules.allow_if(SCMP_SYS(socket), SCMP_A0(SCMP_CMP_EQ, static_cast<scmp_datum_t>(family)));
  }
  rules.allow_if(SCMP_SYS(socketpair), SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
  for (const int call : {SCMP_SYS(mmap), SCMP_SYS(mmap2), SCMP_SYS(mprotect)}) {
    rules.allow_if(call, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
  }
  // Itself only: abort().
  for (const int call : {SCMP_SYS(kill), SCMP_SYS(tgkill)}) {
    rules.allow_if(call, SCMP_A0(SCMP_CMP_EQ, baton::proxy::kOwnPid));
  }
  // Of an interface's name and number, what waits in a socket to be received or sent, and whether
  // standard error is a terminal.
  for (const unsigned long request :
       {SIOCGIFINDEX, SIOCGIFNAME, FIONREAD, SIOCOUTQ, FIONBIO, TCGETS}) {
    rules.allow_if(SCMP_SYS(ioctl), SCMP_A1(SCMP_CMP_EQ, request));
  }
}

// Empty: it could not be made, for the reason that has been printed.
std::vector<sock_filter> make_program() {
  const auto failed = [](const char* what, int error) {
    std::fprintf(stderr, "%s: %s\n", what, std::strerror(error));
    return std::vector<sock_filter>();
  };
  const Context context(::seccomp_init(SCMP_ACT_ERRNO(ENOSYS)));
  if (!context) return failed("seccomp", ENOMEM);
  // A tree instead of a list; an older library does not know it and makes the list.
  ::seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
  Rules rules(context.get());
  add_rules(rules);
  if (rules.error() != 0) return failed("a rule", rules.error());
  const std::unique_ptr<std::FILE, Close> file(std::tmpfile());
  if (!file) return failed("a temporary file", errno);
  if (const int error = ::seccomp_export_bpf(context.get(), ::fileno(file.get())); error != 0) {
    return failed("the program", -error);
  }
  std::rewind(file.get());
  std::vector<sock_filter> program;
  for (sock_filter each; std::fread(&each, sizeof each, 1, file.get()) == 1;) {
    program.push_back(each);
  }
  return program;
}

}  // namespace

int main() {
  const std::vector<sock_filter> program = make_program();
  bool compares_pid = false;
  for (const sock_filter& each : program) {
    std::printf("{%#x, %u, %u, %#x},\n", each.code, each.jt, each.jf, each.k);
    compares_pid = compares_pid || each.k == baton::proxy::kOwnPid;
  }
  return compares_pid ? 0 : 1;
}
