// The supervisor's copy of every listening socket, so that no accept queue dies with the process
// that serves it. Sockets enter before they first listen and leave when no configuration names
// them any more. Those that the service manager has passed stay, and what was added to their
// addresses: it listens there whatever becomes of ours, so a listener could not bind there when it
// is configured again.
//
// Thread: the supervisor's.
// Owns: nothing; borrows the state, whose entries and descriptors it keeps in order.
// Invariants: one entry a key and index; a unix socket's path is removed with its last entry,
// unless the service manager has made it, or somebody else has put another file there.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "proto/channel.h"
#include "supervisor/state.h"

namespace baton::supervisor {

class Escrow {
 public:
  explicit Escrow(SupervisorState& state) : state_(state) {}

  // Keeps a socket; one that is there already under this key and index stays, and `fd` is closed.
  // An entry without its socket, of a supervisor before this one, gets it.
  // `file`: that of a unix socket's path, of a socket that was bound just now.
  void put(const SocketKey& key, std::uint32_t index, std::uint64_t generation, os::UniqueFd fd,
           std::optional<FileId> file = std::nullopt);

  // Positions in state.escrow, in order.
  using Entries = std::vector<std::size_t>;
  Entries of(std::span<const SocketKey> keys) const;
  std::size_t count(const SocketKey& key) const;
  // What a generation has added under these keys; never what the service manager has passed.
  Entries added_by(std::uint64_t generation, std::span<const SocketKey> keys) const;
  // Another generation is the owner of this one now; nothing if it is there no more, or the service
  // manager's, whose it stays.
  void hand_over(const SocketKey& key, std::uint32_t index, std::uint64_t to);
  void drop(const SocketKey& key, std::uint32_t index);

  // The keys of TCP sockets that listen, and whose wildcard address is among these, but not they.
  std::vector<SocketKey> narrower_than(std::span<const SocketKey> keys) const;
  // Those of the keys that have no socket here, although one of ours may be bound to the same
  // address or to one that overlaps with it: a generation's, a narrower or a wildcard one's of the
  // escrow, or one that a supervisor before has left behind.
  std::vector<SocketKey> ours(std::span<const SocketKey> keys) const;
  // Those of the keys that have sockets here of which the unix path leads to none any more.
  std::vector<SocketKey> unreachable(std::span<const SocketKey> keys) const;
  // The keys under which the service manager has passed a socket.
  std::vector<SocketKey> activated() const;
  // Whether one of its sockets is this one, under whatever key.
  bool holds_file(const FileId& file) const;

  const EscrowEntry& entry(std::size_t position) const { return state_.escrow[position]; }
  int fd(std::size_t position) const { return state_.fds.get(state_.escrow[position].fd); }

  // Closes every socket whose key is not among these, and unlinks unix paths nothing uses any more.
  // The service manager's addresses stay, and are named in the log once.
  void keep_only(std::span<const SocketKey> keys);
  // Closes those that their unix path does not lead to, if it leads to another one here. Whoever
  // serves has them as well, and accepts those who wait there.
  void drop_replaced();
  // Closes all, those of the service manager as well.
  void clear();

 private:
  template <class Leaves>
  void close_if(Leaves leaves);
  void name_unwanted(std::span<const SocketKey> keys);
  std::span<const EscrowEntry> entries_of(const SocketKey& key) const;
  static bool is_reached(const EscrowEntry& entry);
  std::vector<EscrowEntry>::iterator find(const SocketKey& key, std::uint32_t index);

  SupervisorState& state_;
  std::set<SocketKey> unwanted_;  // and the log has it
};

}  // namespace baton::supervisor
