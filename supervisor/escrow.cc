#include "supervisor/escrow.h"

#include <unistd.h>

#include <algorithm>
#include <tuple>

#include "shared/os/log.h"

namespace baton::supervisor {
namespace {

bool contains(std::span<const SocketKey> keys, const SocketKey& key) {
  return std::ranges::find(keys, key) != keys.end();
}

bool before(const EscrowEntry& a, const EscrowEntry& b) {
  return std::tie(a.key, a.index) < std::tie(b.key, b.index);
}

}  // namespace

void Escrow::put(const SocketKey& key, std::uint32_t index, std::uint64_t generation,
                 os::UniqueFd fd) {
  EscrowEntry entry{.key = key, .index = index, .added_by = generation};
  const auto place = std::ranges::lower_bound(state_.escrow, entry, before);
  if (place != state_.escrow.end() && place->key == key && place->index == index) return;
  entry.fd = state_.fds.add(std::move(fd));
  state_.escrow.insert(place, std::move(entry));
}

Escrow::Entries Escrow::of(std::span<const SocketKey> keys) const {
  Entries found;
  for (std::size_t i = 0; i < state_.escrow.size(); ++i) {
    if (contains(keys, state_.escrow[i].key)) found.push_back(i);
  }
  return found;
}

Escrow::Entries Escrow::added_by(std::uint64_t generation, std::span<const SocketKey> keys) const {
  Entries found = of(keys);
  std::erase_if(found, [&](std::size_t i) { return state_.escrow[i].added_by != generation; });
  return found;
}

bool Escrow::any_added_by(std::uint64_t generation) const {
  return std::ranges::any_of(state_.escrow,
                             [&](const EscrowEntry& e) { return e.added_by == generation; });
}

void Escrow::hand_over(std::uint64_t from, std::uint64_t to) {
  for (EscrowEntry& entry : state_.escrow) {
    if (entry.added_by == from) entry.added_by = to;
  }
}

void Escrow::keep_only(std::span<const SocketKey> keys) {
  std::vector<std::string> paths;
  for (const EscrowEntry& entry : state_.escrow) {
    if (contains(keys, entry.key)) continue;
    if (std::string path = entry.key.unix_path(); !path.empty()) paths.push_back(std::move(path));
  }
  std::erase_if(state_.escrow, [&](const EscrowEntry& entry) {
    if (contains(keys, entry.key)) return false;
    state_.fds.close(entry.fd);
    return true;
  });
  for (const std::string& path : paths) {
    const bool used = std::ranges::any_of(
        state_.escrow, [&](const EscrowEntry& entry) { return entry.key.unix_path() == path; });
    if (!used && ::unlink(path.c_str()) != 0 && errno != ENOENT) {
      log::warning("cannot remove {}: {}", path, os::Error{errno, "unlink", ""}.text());
    }
  }
}

}  // namespace baton::supervisor
