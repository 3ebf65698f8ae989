#include "supervisor/earlier_state.h"

#include <expected>
#include <map>
#include <set>

#include "proto/socket_key.h"
#include "shared/os/log.h"
#include "supervisor/fd_store.h"
#include "supervisor/state_codec.h"
#include "supervisor/state_file.h"
#include "supervisor/state_memory.h"
#include "supervisor/stored_names.h"

namespace baton::supervisor {
namespace {

using Decoded = std::expected<DecodedState, StateError>;  // without a text: there is none
using Stored = std::map<std::string, os::UniqueFd>;       // what the manager has kept, by name

std::unexpected<StateError> none() {
  return std::unexpected(StateError{StateError::Code::NoState, ""});
}

std::unexpected<StateError> in(const std::string& place, StateError error) {
  error.text = place + ": " + error.text;
  return std::unexpected(std::move(error));
}

Stored take_stored(std::vector<InheritedFd>& inherited) {
  Stored stored;
  for (InheritedFd& each : inherited) {
    if (is_stored_name(each.name)) stored[each.name] = std::move(each.fd);
  }
  std::erase_if(inherited, [](const InheritedFd& each) { return !each.fd.valid(); });
  return stored;
}

Decoded read_file(const std::string& path) {
  const auto bytes = read_state_file(path);
  if (!bytes) return std::unexpected(StateError{StateError::Code::NoState, bytes.error().text()});
  if (!*bytes) return none();
  auto decoded = decode_state(**bytes);
  if (!decoded) return in(path, std::move(decoded.error()));
  return std::move(*decoded);
}

Decoded read_memory(const Stored& stored) {
  const auto memory = stored.find(std::string(kStoredState));
  if (memory == stored.end()) return none();
  auto decoded = read_state_memory(memory->second.get());
  if (!decoded) return in("what the service manager has kept", std::move(decoded.error()));
  return std::move(*decoded);
}

// Puts each descriptor where the state says that it belongs, and names no other. All are noted as
// stored: those that belong nowhere are taken out of the store later.
void use_stored(SupervisorState& state, Stored stored, bool found) {
  std::set<FdIndex> named;
  for (const auto& [id, pair] : state.pairs) named.insert({pair.binary, pair.config});
  for (const EscrowEntry& entry : state.escrow) named.insert(entry.fd);
  state.stored.clear();
  stored.erase(std::string(kStoredCanary));  // each supervisor sends its own
  for (auto& [name, fd] : stored) {
    state.stored[name] = file_id(fd.get());
    if (const auto index = stored_index(name); index && named.contains(*index)) {
      state.fds.put(*index, std::move(fd));
    } else if (const auto key = proto::key_of_socket(fd.get())) {
      state.left_behind.push_back(SocketKey::from_message(*key));
    }
  }
  const auto keep = [&state](FdIndex& index) {
    if (!state.fds.has(index)) index = kNoFd;
  };
  for (auto& [id, pair] : state.pairs) {
    keep(pair.binary);
    keep(pair.config);
  }
  for (EscrowEntry& entry : state.escrow) keep(entry.fd);
  if (!found) return;
  // Only now: an index that is free is not named by anything any more.
  state.memory = kNoFd;
  state.region_fd = -1;
  if (os::UniqueFd& memory = stored[std::string(kStoredState)]) {
    state.memory = state.fds.add(std::move(memory));
  }
  state.region_fd = stored[std::string(kStoredRegion)].release();
}

void forget_process(SupervisorState& state) {
  for (auto& [id, generation] : state.generations) {
    generation.pidfd = kNoFd;
    generation.channel_fd = -1;
    generation.channel_requests = 0;
    generation.reported_gauges.clear();  // they report them anew
  }
  region::KeptCounts(state.kept_metrics).forget_gauges();
  state.clients.clear();
}

void complain_of(const Decoded& decoded) {
  if (decoded || decoded.error().text.empty()) return;
  log::error(
      "a state of the supervisor before cannot be used: {}. Generations that only it knows hold "
      "their addresses, if they still run, until they are ended by hand",
      decoded.error().text);
}

void keep_unusable(const std::string& path) {
  if (const auto kept = set_state_file_aside(path)) {
    log::warning("what cannot be used is kept as {}", unusable_state_path(path));
  } else {
    log::error("what cannot be used is lost: {}", kept.error().text());
  }
}

}  // namespace

std::expected<EarlierState, std::string> find_earlier_state(const std::string& control_path,
                                                            std::vector<InheritedFd>& inherited) {
  const std::string path = state_file_path(control_path);
  Stored stored = take_stored(inherited);
  Decoded in_file = read_file(path);
  Decoded in_memory = read_memory(stored);
  for (const Decoded* each : {&in_file, &in_memory}) {
    if (*each || each->error().code != StateError::Code::Future) continue;
    return std::unexpected(each->error().text +
                           ". Its generations may be serving: run that release, or end them and "
                           "remove " +
                           path);
  }
  for (const Decoded* each : {&in_file, &in_memory}) complain_of(*each);
  if (!in_file && !in_file.error().text.empty()) keep_unusable(path);
  EarlierState earlier;
  if (in_file || in_memory) {
    const bool from_memory = in_memory && (!in_file || in_memory->sequence >= in_file->sequence);
    earlier = {true, std::move(from_memory ? in_memory->state : in_file->state)};
    forget_process(earlier.state);
  }
  use_stored(earlier.state, std::move(stored), earlier.found);
  return earlier;
}

}  // namespace baton::supervisor
