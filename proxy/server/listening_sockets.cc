#include "proxy/server/listening_sockets.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>

#include "proxy/server/bind.h"
#include "shared/os/log.h"

namespace baton::proxy {
namespace {

std::unexpected<os::Error> of_listener(const WantedSockets& wanted, os::Error error) {
  error.operation = "listener \"" + wanted.name + "\": " + error.operation;
  return std::unexpected(std::move(error));
}

bool is_datagram(const WantedSockets& wanted) {
  return wanted.key.type() == proto::SocketKey::DATAGRAM;
}

// Nothing: no file is there, or the address is none of a path.
std::optional<UnixFile> file_at(const os::SocketAddress& address) {
  struct stat status{};
  if (!address.is_unix_path() || ::lstat(address.unix_path().c_str(), &status) != 0) {
    return std::nullopt;
  }
  return UnixFile{.device = status.st_dev, .inode = status.st_ino};
}

std::optional<UnixFile> file_at(const proto::SocketKey& key) {
  const auto address = os::SocketAddress::parse(key.address());
  return address ? file_at(*address) : std::nullopt;
}

}  // namespace

os::Result<void> ListeningSockets::add(const proto::SocketInfo& info, os::UniqueFd fd) {
  if (const auto valid = proto::verify_socket(fd.get(), info.key()); !valid) {
    return std::unexpected(valid.error());
  }
  by_key_[proto::identity(info.key())].try_emplace(
      info.index(),
      ListeningSocket{info.key(), info.index(), std::move(fd), false, file_at(info.key())});
  return {};
}

os::Result<void> ListeningSockets::bind_missing(const std::vector<WantedSockets>& wanted) {
  for (const WantedSockets& want : wanted) {
    if (is_datagram(want) && has(want.key)) continue;
    const auto ours = ours_.find(proto::identity(want.key));
    if (is_datagram(want) && ours != ours_.end()) {
      if (ours->second.empty()) continue;
      const auto free = refuse_datagram_stranger(want.address, ours->second);
      if (!free) return of_listener(want, free.error());
    } else if (const auto bound = bind_rest_of(want); !bound) {
      return bound;
    }
  }
  return {};
}

// The other one may not listen yet: then its file passes for a stale one, and would be replaced.
os::Result<void> ListeningSockets::refuse_second_spelling(const WantedSockets& wanted) const {
  const std::optional<UnixFile> there = file_at(wanted.address);
  if (!there) return {};
  const std::string own = proto::identity(wanted.key);
  for (const auto& [key, by_index] : by_key_) {
    if (key == own) continue;
    for (const auto& [index, socket] : by_index) {
      if (socket.file != there) continue;
      return of_listener(wanted, {.code = 0,
                                  .operation = wanted.address.text() + " is listened on already as",
                                  .object = socket.key.address()});
    }
  }
  return {};
}

os::Result<void> ListeningSockets::bind_unix(const WantedSockets& wanted) {
  ByIndex& sockets = by_key_[proto::identity(wanted.key)];
  if (!sockets.empty() && !unreachable_.contains(proto::identity(wanted.key))) return {};
  if (const auto single = refuse_second_spelling(wanted); !single) return single;
  auto fd = bind_stream_socket(wanted.address, GroupPlace::First);
  if (!fd) return of_listener(wanted, fd.error());
  std::uint32_t index = 0;
  while (sockets.contains(index)) ++index;
  if (!sockets.empty()) log::info("{} was removed: it is made again", wanted.address.text());
  sockets.try_emplace(
      index, ListeningSocket{wanted.key, index, std::move(*fd), true, file_at(wanted.address)});
  return {};
}

os::Result<void> ListeningSockets::bind_rest_of(const WantedSockets& wanted) {
  if (wanted.address.is_unix()) return bind_unix(wanted);
  ByIndex& sockets = by_key_[proto::identity(wanted.key)];
  const auto ours = ours_.find(proto::identity(wanted.key));
  const std::set<pid_t> processes = ours == ours_.end() ? std::set<pid_t>() : ours->second;
  const bool joins = ours != ours_.end() && processes.empty();
  for (std::uint32_t index = 0; index < wanted.count; ++index) {
    if (sockets.contains(index)) continue;
    const GroupPlace place = sockets.empty() && !joins ? GroupPlace::First : GroupPlace::Next;
    auto fd = is_datagram(wanted) ? bind_datagram_socket(wanted.address, place, processes)
                                  : bind_stream_socket(wanted.address, place, processes);
    if (!fd && fd.error().code == EADDRINUSE && !sockets.empty() && !is_datagram(wanted)) {
      // Those of a service manager, which are another user's: nobody else may add to them.
      log::info("listener \"{}\": {} sockets for {} workers, which share them", wanted.name,
                sockets.size(), wanted.count);
      return {};
    }
    if (!fd) return of_listener(wanted, fd.error());
    sockets.try_emplace(index, ListeningSocket{wanted.key, index, std::move(*fd), true, {}});
  }
  return {};
}

os::Result<std::vector<const ListeningSocket*>> ListeningSockets::bind_delayed(
    const std::vector<WantedSockets>& wanted) {
  std::vector<const ListeningSocket*> added;
  for (const WantedSockets& want : wanted) {
    if (!is_datagram(want)) continue;
    const std::vector<const ListeningSocket*> before = of(want.key);
    if (const auto bound = bind_rest_of(want); !bound) {
      if (!has(want.key)) return std::unexpected(bound.error());
      log::warning("{}; going on with fewer sockets", bound.error().text());
    }
    std::ranges::set_difference(of(want.key), before, std::back_inserter(added), {},
                                &ListeningSocket::index, &ListeningSocket::index);
  }
  return added;
}

os::Result<void> ListeningSockets::listen(const std::vector<WantedSockets>& wanted) {
  for (const WantedSockets& want : wanted) {
    if (is_datagram(want)) continue;
    for (const ListeningSocket* socket : of(want.key)) {
      if (::listen(socket->fd.get(), want.backlog) != 0) {
        return of_listener(want, os::errno_error("listen", want.address.text()).error());
      }
    }
  }
  return {};
}

bool ListeningSockets::has(const proto::SocketKey& key) const {
  const auto found = by_key_.find(proto::identity(key));
  return found != by_key_.end() && !found->second.empty();
}

std::vector<const ListeningSocket*> ListeningSockets::of(const proto::SocketKey& key) const {
  std::vector<const ListeningSocket*> sockets;
  if (const auto found = by_key_.find(proto::identity(key)); found != by_key_.end()) {
    for (const auto& [index, socket] : found->second) sockets.push_back(&socket);
  }
  return sockets;
}

std::vector<const ListeningSocket*> ListeningSockets::bound_here() const {
  std::vector<const ListeningSocket*> sockets;
  for (const ListeningSocket* socket : all()) {
    if (socket->bound_here) sockets.push_back(socket);
  }
  return sockets;
}

std::vector<const ListeningSocket*> ListeningSockets::all() const {
  std::vector<const ListeningSocket*> sockets;
  for (const auto& [key, by_index] : by_key_) {
    for (const auto& [index, socket] : by_index) sockets.push_back(&socket);
  }
  return sockets;
}

void ListeningSockets::remove_unix_paths_bound_here() const {
  for (const ListeningSocket* socket : bound_here()) {
    const auto address = os::SocketAddress::parse(socket->key.address());
    if (!address || !socket->file || file_at(*address) != socket->file) continue;
    ::unlink(address->unix_path().c_str());
  }
}

void ListeningSockets::close(const proto::SocketKey& key) { by_key_.erase(proto::identity(key)); }

}  // namespace baton::proxy
