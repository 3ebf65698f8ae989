#include "supervisor/supervise.h"

#include <sys/prctl.h>

#include <cstdio>

#include "shared/os/log.h"
#include "shared/os/process.h"
#include "supervisor/commands.h"
#include "supervisor/control_server.h"
#include "supervisor/privileges.h"
#include "supervisor/signals.h"
#include "supervisor/state_keeper.h"
#include "supervisor/supervisor.h"
#include "supervisor/version.h"

namespace baton::supervisor {
namespace {

// What there is one of in a supervisor that runs.
struct Program {
  Program(SupervisorState& state, SupervisorRegion& region)
      : supervisor(loop, state, region),
        commands(supervisor),
        server(loop, state.fds.get(state.control.listener), state.control.group, commands),
        signals(loop, supervisor),
        keeper(loop, state) {
    supervisor.on_replace([this] { return server.quiet_connections(); });
    supervisor.before_ready([this] { keeper.keep(); });
    supervisor.before_serve([this] { keeper.write_down(); });
    give_up_privileges();
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    ::prctl(PR_SET_NAME, "supervisor");  // run from a descriptor, it is named after its number
    os::release_signals();  // those that came while the program before made room for this one
  }

  // Not libev's default loop: that one reaps every child itself and loses their exit status.
  ev::dynamic_loop loop;
  Supervisor supervisor;
  Commands commands;
  ControlServer server;
  Signals signals;
  StateKeeper keeper;
};

// Without it nothing is lost but what was counted.
os::Result<std::unique_ptr<SupervisorRegion>> go_on_with_region(SupervisorState& state) {
  if (state.region_fd >= 0) {
    auto region = SupervisorRegion::attach(state, os::UniqueFd(std::exchange(state.region_fd, -1)));
    if (region) return region;
    log::error("the region cannot be gone on with: {}", region.error().text());
  }
  log::warning("counters begin anew");
  return SupervisorRegion::replace(state);
}

// Of one that has gone on from another's state, and has failed, the state stays.
int finish(SupervisorState& state, const RunResult& result) {
  const bool stays = result.exit_status != kDone && !state.adopted.empty();
  if (state.control.listener != kNoFd) {
    stays ? give_back_control_socket(state.fds, state.control)
          : release_control_socket(state.fds, state.control);
  }
  // Reasons are lines for the user as they are: "file:line:column: ..." stays at the beginning.
  if (!result.reason.empty()) std::fprintf(stderr, "%s\n", result.reason.c_str());
  return result.exit_status;
}

// What ends by a failure leaves its sockets to the next one.
int finish(SupervisorState& state, StateKeeper& keeper, const RunResult& result) {
  result.exit_status == kDone ? keeper.forget() : keeper.put_back();
  return finish(state, result);
}

}  // namespace

int supervise(SupervisorState& state, const StartPaths& paths) {
  state.version = kVersion;
  auto region = SupervisorRegion::create(state);
  if (!region) return finish(state, {kFailed, region.error().text()});
  Program program(state, **region);
  return finish(state, program.keeper, program.supervisor.run(paths.binary, paths.config));
}

int supervise_on(SupervisorState& state, const StartPaths& paths) {
  auto region = go_on_with_region(state);
  if (!region) {
    // Nothing has been written yet: the next one finds what this one has found.
    give_back_control_socket(state.fds, state.control);
    return finish(state, {kFailed, region.error().text()});
  }
  Program program(state, **region);
  std::vector<Supervisor::AdoptedClient> clients;
  for (const WaitingClient& client : std::exchange(state.clients, {})) {
    auto responder = program.server.adopt(os::UniqueFd(client.fd), client.kind, client.request);
    if (responder) clients.emplace_back(client.generation, std::move(*responder));
  }
  return finish(state, program.keeper,
                program.supervisor.resume(paths.binary, paths.config, std::move(clients)));
}

void init_log(const LogSettings& settings) {
  log::Options options{.program = "supervisor"};
  log::parse_level(settings.level, options.level);
  log::parse_format(settings.format, options.format);
  log::init(options);
}

int complain(int exit_status, const std::string& text) {
  std::fprintf(stderr, "supervisor: %s\n", text.c_str());
  return exit_status;
}

}  // namespace baton::supervisor
