#include "supervisor/run_command.h"

#include <sys/prctl.h>

#include <cstdio>

#include "shared/os/fd_limit.h"
#include "shared/os/log.h"
#include "supervisor/commands.h"
#include "supervisor/control_server.h"
#include "supervisor/signals.h"
#include "supervisor/supervisor.h"

namespace baton::supervisor {
namespace {

int complain(int exit_status, const std::string& text) {
  std::fprintf(stderr, "supervisor: %s\n", text.c_str());
  return exit_status;
}

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

void init_log(const CommandLine& line) {
  log::Options options{.program = "supervisor"};
  log::parse_level(line.log_level, options.level);
  log::parse_format(line.log_format, options.format);
  log::init(options);
}

RunResult supervise(const CommandLine& line, SupervisorState& state) {
  auto region = SupervisorRegion::create(state);
  if (!region) return {kFailed, region.error().text()};
  // Not libev's default loop: that one reaps every child itself and loses their exit status.
  ev::dynamic_loop loop;
  Supervisor supervisor(loop, state, **region, {line.log_level, line.log_format});
  Commands commands(supervisor);
  ControlServer server(loop, state.fds.get(state.control.listener), state.control.group, commands);
  Signals signals(loop, supervisor);
  return supervisor.run(line.proxy.value_or(default_proxy_path()), line.config.value_or(""));
}

}  // namespace

int run_command(const CommandLine& line) {
  init_log(line);
  os::raise_fd_limit();  // generations inherit it
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  SupervisorState state;
  state.started = now();
  state.flags = line.flags;
  const auto missing = line.usual_control ? MissingDirectory::Create : MissingDirectory::Refuse;
  auto control = claim_control_socket(state.fds, line.control, line.control_group, missing);
  if (!control) return complain(exit_status_of(control.error().code), control.error().text);
  state.control = std::move(*control);
  const RunResult result = supervise(line, state);
  if (state.control.listener != kNoFd) release_control_socket(state.fds, state.control);
  // Reasons are lines for the user as they are: "file:line:column: ..." stays at the beginning.
  if (!result.reason.empty()) std::fprintf(stderr, "%s\n", result.reason.c_str());
  return result.exit_status;
}

}  // namespace baton::supervisor
