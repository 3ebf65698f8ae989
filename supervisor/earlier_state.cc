#include "supervisor/earlier_state.h"

#include "shared/os/log.h"
#include "supervisor/state_codec.h"
#include "supervisor/state_file.h"

namespace baton::supervisor {
namespace {

// Only descriptors that are there are named from here on.
void forget_descriptors(SupervisorState& state) {
  const auto keep = [&state](FdIndex& index) {
    if (!state.fds.has(index)) index = kNoFd;
  };
  for (auto& [id, pair] : state.pairs) {
    keep(pair.binary);
    keep(pair.config);
  }
  for (EscrowEntry& entry : state.escrow) keep(entry.fd);
  for (auto& [id, generation] : state.generations) {
    generation.pidfd = kNoFd;
    generation.channel_fd = -1;
    generation.channel_requests = 0;
    generation.reported_gauges.clear();  // they report them anew
  }
  state.region_fd = -1;
  state.clients.clear();
}

void complain_of(const std::string& what) {
  log::error(
      "the state of the supervisor before cannot be used: {}. Its generations, if they still run, "
      "hold their addresses until they are ended by hand",
      what);
}

}  // namespace

std::optional<SupervisorState> find_earlier_state(const std::string& control_path) {
  const std::string path = state_file_path(control_path);
  const auto bytes = read_state_file(path);
  if (!bytes) {
    complain_of(bytes.error().text());
    return std::nullopt;
  }
  if (!*bytes) return std::nullopt;
  auto decoded = decode_state(**bytes);
  if (!decoded) {
    complain_of(path + ": " + decoded.error().text);
    return std::nullopt;
  }
  forget_descriptors(decoded->state);
  return std::move(decoded->state);
}

}  // namespace baton::supervisor
