// The listening sockets a generation holds, by key and index, wherever they came from: the old
// generation, the supervisor's escrow, or bind(2).
// Thread: main. Owns: the sockets; workers borrow them, so one is closed only after they let go.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "proto/socket_key.h"
#include "proto/types.pb.h"
#include "shared/os/error.h"
#include "shared/os/unique_fd.h"

namespace baton::proxy {

// Sockets 0 to count-1 of an address, or more if there are more, and whose they are.
struct WantedSockets {
  std::string name;          // of the listener, for errors
  std::size_t listener = 0;  // index in Config::listeners; behind their end: the admin's
  os::SocketAddress address;
  proto::SocketKey key;
  std::uint32_t count = 1;  // 0: as many as there are
  int backlog = 4096;
};

struct UnixFile {
  dev_t device = 0;
  ino_t inode = 0;
  friend bool operator==(const UnixFile&, const UnixFile&) = default;
};

struct ListeningSocket {
  proto::SocketKey key;
  std::uint32_t index = 0;
  os::UniqueFd fd;
  bool bound_here = false;       // not in the supervisor's escrow yet
  std::optional<UnixFile> file;  // what was at its unix path when it was bound or came
};

class ListeningSockets {
 public:
  // Takes a socket that a peer sent. Refused: it is not what its key says; one of that key and
  // index is there already counts as taken, and the duplicate is closed.
  os::Result<void> add(const proto::SocketInfo& info, os::UniqueFd fd);

  // No socket of this key is here, but one of these processes may have some that are bound to its
  // address: another generation, or the supervisor. Without processes: whoever has it may.
  void note_ours(const proto::SocketKey& key, const std::set<pid_t>& processes) {
    ours_[proto::identity(key)] = processes;
  }

  // The unix path of the sockets that are here leads to none of them: another one is to be bound.
  void note_unreachable(const proto::SocketKey& key) { unreachable_.insert(proto::identity(key)); }

  // Binds what is missing, but no UDP socket beside ours, be they of the same address or of a
  // wildcard of its port: a new one would get its share of their clients' datagrams at once, or all
  // of its address, and nobody reads it yet. Stream sockets that belong to another user, a service
  // manager's, stay as few as they are. A unix path that leads to the socket of another address, as
  // through a linked directory, is an error. On failure what was bound by this call is kept (and
  // closed with this object); the error names the listener.
  os::Result<void> bind_missing(const std::vector<WantedSockets>& wanted);
  // Binds those that bind_missing() left out, and returns what it has bound. An address lacks some
  // where that fails: fewer sockets still get all datagrams. Error: one has none at all.
  os::Result<std::vector<const ListeningSocket*>> bind_delayed(
      const std::vector<WantedSockets>& wanted);

  // listen(2) on all stream sockets of these, also on those that listen already: the backlog may be
  // new.
  os::Result<void> listen(const std::vector<WantedSockets>& wanted);

  bool has(const proto::SocketKey& key) const;
  // In order of the index; borrowed, valid until close().
  std::vector<const ListeningSocket*> of(const proto::SocketKey& key) const;
  std::vector<const ListeningSocket*> bound_here() const;
  std::vector<const ListeningSocket*> all() const;

  void close(const proto::SocketKey& key);
  // A start that fails leaves no socket file behind of those that it made.
  void remove_unix_paths_bound_here() const;

 private:
  using ByIndex = std::map<std::uint32_t, ListeningSocket>;

  os::Result<void> bind_rest_of(const WantedSockets& wanted);
  os::Result<void> bind_unix(const WantedSockets& wanted);
  os::Result<void> refuse_second_spelling(const WantedSockets& wanted) const;

  std::map<std::string, ByIndex> by_key_;        // identity(key) -> sockets
  std::map<std::string, std::set<pid_t>> ours_;  // by identity(key)
  std::set<std::string> unreachable_;            // identity(key)
};

}  // namespace baton::proxy
