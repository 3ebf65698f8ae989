#include "supervisor/take_over_command.h"

#include <fcntl.h>
#include <unistd.h>

#include <set>

#include "shared/os/fd_limit.h"
#include "shared/os/log.h"
#include "shared/os/memfd.h"
#include "shared/os/process.h"
#include "supervisor/program_path.h"
#include "supervisor/state_codec.h"
#include "supervisor/supervise.h"
#include "supervisor/supervisor_region.h"
#include "supervisor/take_over_check.h"

namespace baton::supervisor {
namespace {

std::expected<DecodedState, std::string> read_state(int fd) {
  const auto bytes = os::read_sealed_memfd(fd, kMaxStateBytes);
  if (!bytes) return std::unexpected(bytes.error().text());
  auto decoded = decode_state(*bytes);
  if (!decoded) return std::unexpected(decoded.error().text);
  const std::uint64_t layout = decoded->state.region_layout;
  if (layout != SupervisorRegion::layout()) {
    return std::unexpected("the region has layout " + std::to_string(layout) +
                           ", this program uses " + std::to_string(SupervisorRegion::layout()));
  }
  return std::move(*decoded);
}

int check(const CommandLine& line) {
  const auto state = read_state(line.state_fd);
  const std::string answer = state ? std::string(kTakesOver) : state.error();
  const ssize_t written = ::write(line.answer_fd, answer.data(), answer.size());
  return state && written == static_cast<ssize_t>(answer.size()) ? kDone : kFailed;
}

// Takes what the program before has kept open. False: that is not what it said.
bool take_descriptors(DecodedState& decoded) {
  SupervisorState& state = decoded.state;
  std::set<int> taken;
  const auto take = [&taken](int fd) {
    return fd > STDERR_FILENO && taken.insert(fd).second && ::fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
  };
  bool all = take(state.region_fd);
  for (const auto& [index, number] : decoded.descriptors) {
    all = take(number) && all;
    state.fds.put(index, os::UniqueFd(number));
  }
  for (const auto& [id, generation] : state.generations) {
    if (generation.channel_fd >= 0) all = take(generation.channel_fd) && all;
    if (generation.pidfd != kNoFd && !state.fds.has(generation.pidfd)) all = false;
  }
  // A client may have asked twice over one connection: the first request has it.
  std::erase_if(state.clients, [&take](const WaitingClient& client) { return !take(client.fd); });
  return all && state.fds.has(state.control.listener) && state.fds.has(state.control.lock);
}

}  // namespace

int take_over_command(const CommandLine& line) {
  if (line.only_check) return check(line);
  auto decoded = [&line] {
    const os::UniqueFd memory(line.state_fd);
    return read_state(memory.get());
  }();
  if (!decoded) return complain(kFailed, "cannot take over: " + decoded.error());
  SupervisorState& state = decoded->state;
  init_log(state.log);
  os::raise_fd_limit();
  if (!take_descriptors(*decoded)) {
    return complain(kFailed, "cannot take over: descriptors are missing");
  }
  return supervise_on(state, {default_proxy_path(), ""});
}

}  // namespace baton::supervisor
