#include "supervisor/run_command.h"

#include <sys/prctl.h>

#include "shared/os/fd_limit.h"
#include "supervisor/activation.h"
#include "supervisor/inherited_fds.h"
#include "supervisor/supervise.h"

namespace baton::supervisor {
namespace {

int exit_status_of(ControlSocketError::Code code) {
  switch (code) {
    case ControlSocketError::Code::InUse:
    case ControlSocketError::Code::NotPermitted:
      return kRefused;
    case ControlSocketError::Code::BadPath:
      return kBadUsage;
    case ControlSocketError::Code::Failed:
      return kFailed;
  }
  return kFailed;
}

}  // namespace

int run_command(const CommandLine& line) {
  SupervisorState state;
  state.started = now();
  state.flags = line.flags;
  state.log = {.level = line.log_level, .format = line.log_format};
  init_log(state.log);
  std::vector<InheritedFd> inherited = take_inherited_fds();
  os::raise_fd_limit();  // generations inherit it
  // This, too. They bind low ports by a capability that is ambient, or as root.
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  const auto missing = line.usual_control ? MissingDirectory::Create : MissingDirectory::Refuse;
  auto control = claim_control_socket(state.fds, line.control, line.control_group, missing);
  if (!control) return complain(exit_status_of(control.error().code), control.error().text);
  state.control = std::move(*control);
  Escrow escrow(state);
  adopt_activated(escrow, std::move(inherited));
  return supervise(state, {line.proxy.value_or(default_proxy_path()), line.config.value_or("")});
}

}  // namespace baton::supervisor
