#include "supervisor/run_command.h"

#include <utility>

#include "shared/os/fd_limit.h"
#include "shared/os/log.h"
#include "shared/os/process.h"
#include "supervisor/activation.h"
#include "supervisor/earlier_state.h"
#include "supervisor/inherited_fds.h"
#include "supervisor/program_path.h"
#include "supervisor/reunion.h"
#include "supervisor/state_codec.h"
#include "supervisor/supervise.h"

namespace baton::supervisor {
namespace {

int exit_status_of(ControlSocketError::Code code) {
  switch (code) {
    case ControlSocketError::Code::InUse:
    case ControlSocketError::Code::NotPermitted:
      return kRefused;
    case ControlSocketError::Code::BadUsage:
      return kBadUsage;
    case ControlSocketError::Code::Failed:
      return kFailed;
  }
  return kFailed;
}

// What runs goes on; that somebody has changed the command line since is not forgotten for it.
void note_paths(SupervisorState& state, const StartPaths& paths) {
  const auto before = std::exchange(state.start_paths, paths);
  if (before && *before != paths) state.next_paths = paths;
  const auto running = state.pairs.find(state.good);
  if (!state.next_paths || running == state.pairs.end()) return;
  const Pair next{.binary_path = state.next_paths->binary, .config_path = state.next_paths->config};
  if (next.files() == running->second.files()) return state.next_paths.reset();
  log::warning("{} goes on; `supervisor reload` takes what the command line names now: {}",
               running->second.files(), next.files());
}

}  // namespace

int run_command(const CommandLine& line) {
  // Signals wait until there is somebody to handle them: Program lets them come.
  const os::HeldSignals held;
  const LogSettings log{.level = line.log_level, .format = line.log_format};
  init_log(log);
  std::vector<InheritedFd> inherited = take_inherited_fds();
  os::raise_fd_limit();  // generations inherit it
  const auto missing = line.usual_control ? MissingDirectory::Create : MissingDirectory::Refuse;
  FdTable claimed;
  auto control = claim_control_socket(claimed, line.control, line.control_group, missing);
  if (!control) return complain(exit_status_of(control.error().code), control.error().text);
  const StartPaths paths{line.proxy.value_or(default_proxy_path()), line.config.value_or("")};

  auto earlier = find_earlier_state(line.control, inherited);
  if (!earlier) {
    give_back_control_socket(claimed, *control);
    return complain(kRefused, earlier.error());
  }
  auto& [goes_on, state] = *earlier;
  state.started = now();
  state.flags = line.flags;
  state.log = log;
  state.program = own_path();
  control->lock = state.fds.add(claimed.take(control->lock));
  control->listener = state.fds.add(claimed.take(control->listener));
  if (control->made_directory.empty() && control->path == state.control.path) {
    control->made_directory = state.control.made_directory;  // by the supervisor before
  }
  state.control = std::move(*control);
  if (goes_on) {
    state.adopted = encode_state(state, state.revision);
    Reunion(state).run();
  }
  note_paths(state, paths);
  Escrow escrow(state);
  adopt_activated(escrow, std::move(inherited));
  return goes_on ? supervise_on(state, paths) : supervise(state, paths);
}

}  // namespace baton::supervisor
