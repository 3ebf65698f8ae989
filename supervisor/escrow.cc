#include "supervisor/escrow.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <iterator>
#include <utility>

#include "shared/os/log.h"
#include "shared/os/socket_type.h"

namespace baton::supervisor {
namespace {

// Thousands of keys are looked up in thousands of entries.
class KeySet {
 public:
  explicit KeySet(std::span<const SocketKey> keys) : sorted_(keys.begin(), keys.end()) {
    std::ranges::sort(sorted_);
  }
  bool contains(const SocketKey& key) const { return std::ranges::binary_search(sorted_, key); }

 private:
  std::vector<SocketKey> sorted_;
};

// Whether a unix path still is the file that its socket has made, as far as that can be told.
bool is_at(const std::string& path, const FileId& file) {
  const auto there = file_at(path);
  return there ? *there == file : there.error().code != ENOENT && there.error().code != ENOTDIR;
}

}  // namespace

void Escrow::put(const SocketKey& key, std::uint32_t index, std::uint64_t generation,
                 os::UniqueFd fd, std::optional<FileId> file) {
  EscrowEntry entry{.key = key, .index = index, .added_by = generation, .file = file};
  const auto place = std::ranges::lower_bound(state_.escrow, entry, std::less());
  if (place != state_.escrow.end() && place->key == key && place->index == index) {
    if (place->fd == kNoFd) place->fd = state_.fds.add(std::move(fd));
    return;
  }
  state_.touch();
  entry.fd = state_.fds.add(std::move(fd));
  state_.escrow.insert(place, std::move(entry));
}

Escrow::Entries Escrow::of(std::span<const SocketKey> keys) const {
  const KeySet wanted(keys);
  Entries found;
  for (std::size_t i = 0; i < state_.escrow.size(); ++i) {
    if (wanted.contains(state_.escrow[i].key)) found.push_back(i);
  }
  return found;
}

std::span<const EscrowEntry> Escrow::entries_of(const SocketKey& key) const {
  return std::ranges::equal_range(std::as_const(state_.escrow), key, {}, &EscrowEntry::key);
}

std::size_t Escrow::count(const SocketKey& key) const { return entries_of(key).size(); }

std::vector<SocketKey> Escrow::narrower_than(std::span<const SocketKey> keys) const {
  const KeySet wanted(keys);
  std::vector<SocketKey> found;
  for (const EscrowEntry& entry : state_.escrow) {
    if (entry.key.type != proto::SocketKey::STREAM || wanted.contains(entry.key)) continue;
    if (!found.empty() && found.back() == entry.key) continue;
    const auto wildcard = entry.key.wildcard();
    if (!wildcard || !wanted.contains(*wildcard)) continue;
    if (os::listens(state_.fds.get(entry.fd))) found.push_back(entry.key);
  }
  return found;
}

std::vector<SocketKey> Escrow::ours(std::span<const SocketKey> keys) const {
  std::vector<SocketKey> bound = state_.left_behind;
  for (const auto& [id, record] : state_.generations) {
    bound.insert(bound.end(), record.keys.begin(), record.keys.end());
  }
  std::ranges::transform(state_.escrow, std::back_inserter(bound), &EscrowEntry::key);
  std::vector<SocketKey> wildcards;
  for (const SocketKey& key : bound) {
    if (auto wildcard = key.wildcard()) wildcards.push_back(std::move(*wildcard));
  }
  const KeySet same(bound);
  const KeySet wider(wildcards);
  std::vector<SocketKey> ours;
  std::ranges::copy_if(keys, std::back_inserter(ours), [&](const SocketKey& key) {
    if (count(key) > 0) return false;
    if (same.contains(key) || wider.contains(key)) return true;
    const auto wildcard = key.wildcard();
    return wildcard && same.contains(*wildcard);
  });
  return ours;
}

bool Escrow::is_reached(const EscrowEntry& entry) {
  return entry.file && is_at(entry.key.unix_path(), *entry.file);
}

std::vector<SocketKey> Escrow::unreachable(std::span<const SocketKey> keys) const {
  std::vector<SocketKey> found;
  std::ranges::copy_if(keys, std::back_inserter(found), [this](const SocketKey& key) {
    const auto entries = entries_of(key);
    return std::ranges::any_of(entries,
                               [](const EscrowEntry& each) { return each.file.has_value(); }) &&
           std::ranges::none_of(entries, is_reached);
  });
  return found;
}

std::vector<SocketKey> Escrow::activated() const {
  std::vector<SocketKey> keys;
  for (const EscrowEntry& entry : state_.escrow) {
    const bool is_new = keys.empty() || keys.back() != entry.key;
    if (entry.added_by == kActivated && is_new) keys.push_back(entry.key);
  }
  return keys;
}

bool Escrow::holds_file(const FileId& file) const {
  return std::ranges::any_of(state_.escrow, [&](const EscrowEntry& entry) {
    return file_id(state_.fds.get(entry.fd)) == file;
  });
}

Escrow::Entries Escrow::added_by(std::uint64_t generation, std::span<const SocketKey> keys) const {
  if (generation == kActivated) return {};
  Entries found = of(keys);
  std::erase_if(found, [&](std::size_t i) { return state_.escrow[i].added_by != generation; });
  return found;
}

std::vector<EscrowEntry>::iterator Escrow::find(const SocketKey& key, std::uint32_t index) {
  return std::ranges::find_if(state_.escrow, [&](const EscrowEntry& entry) {
    return entry.key == key && entry.index == index;
  });
}

void Escrow::hand_over(const SocketKey& key, std::uint32_t index, std::uint64_t to) {
  const auto entry = find(key, index);
  if (entry == state_.escrow.end() || entry->added_by == kActivated) return;
  entry->added_by = to;
  state_.touch();
}

void Escrow::drop(const SocketKey& key, std::uint32_t index) {
  const auto entry = find(key, index);
  if (entry == state_.escrow.end()) return;
  state_.fds.close(entry->fd);
  state_.escrow.erase(entry);
  state_.touch();
}

template <class Leaves>
void Escrow::close_if(Leaves leaves) {
  state_.touch();
  const std::vector<SocketKey> activated_keys = activated();
  const KeySet theirs(activated_keys);
  std::vector<std::string> paths;
  std::erase_if(state_.escrow, [&](const EscrowEntry& entry) {
    if (!leaves(entry)) return false;
    std::string path = theirs.contains(entry.key) ? "" : entry.key.unix_path();
    if (!path.empty() && (!entry.file || is_at(path, *entry.file)))
      paths.push_back(std::move(path));
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

void Escrow::keep_only(std::span<const SocketKey> keys) {
  std::vector<SocketKey> all = activated();
  all.insert(all.end(), keys.begin(), keys.end());
  const KeySet kept(all);
  close_if([&kept](const EscrowEntry& entry) { return !kept.contains(entry.key); });
  name_unwanted(keys);
}

void Escrow::drop_replaced() {
  std::vector<SocketKey> reached;
  for (const EscrowEntry& entry : state_.escrow) {
    if (is_reached(entry) && count(entry.key) > 1) reached.push_back(entry.key);
  }
  if (reached.empty()) return;
  const KeySet keys(reached);
  close_if(
      [&](const EscrowEntry& entry) { return keys.contains(entry.key) && !is_reached(entry); });
}

void Escrow::clear() {
  close_if([](const EscrowEntry&) { return true; });
}

void Escrow::name_unwanted(std::span<const SocketKey> keys) {
  const KeySet wanted(keys);
  for (const EscrowEntry& entry : state_.escrow) {
    if (wanted.contains(entry.key)) {
      unwanted_.erase(entry.key);
    } else if (unwanted_.insert(entry.key).second) {
      log::warning(
          "no listener wants {}, which the service manager listens on for us: clients wait there "
          "until one does",
          entry.key.address);
    }
  }
}

}  // namespace baton::supervisor
