#include "proxy/server/system_call_filter.h"

#include <sys/prctl.h>

#ifdef BATON_SECCOMP
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <unistd.h>

#include <iterator>

#include "proxy/server/own_pid.h"
#endif

namespace baton::proxy {
namespace {

os::Result<void> give_up_new_privileges() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return os::errno_error("no_new_privs");
  return {};
}

#ifdef BATON_SECCOMP

// By make_system_call_program.cc, which has the rules.
constexpr sock_filter kProgram[] = {
#include "system_call_program.inc"
};

os::Result<void> load_filter() {
  sock_filter program[std::size(kProgram)];
  const auto self = static_cast<std::uint32_t>(::getpid());
  for (std::size_t i = 0; i < std::size(kProgram); ++i) {
    program[i] = kProgram[i];
    if (program[i].k == kOwnPid) program[i].k = self;
  }
  const sock_fprog filter{.len = std::size(kProgram), .filter = program};
  // Not by seccomp(2), which a service manager's own filter may refuse.
  if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
    return os::errno_error("seccomp");
  }
  return {};
}

#endif

}  // namespace

#ifdef BATON_SECCOMP
os::Result<void> restrict_system_calls() {
  if (const auto given_up = give_up_new_privileges(); !given_up) return given_up;
  return load_filter();
}
#else
os::Result<void> restrict_system_calls() { return give_up_new_privileges(); }
#endif

}  // namespace baton::proxy
