// Lists of sockets with their descriptors, cut into as many messages as the limit of descriptors a
// message asks for. Thread: main; stateless.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "proto/seqpacket.h"
#include "proto/types.pb.h"
#include "proxy/server/listening_sockets.h"

namespace baton::proxy {

// Calls `send(message, fds, is_last)` at least once. Message: one with `repeated SocketInfo
// sockets`.
template <class Message, class Send>
void send_in_parts(std::span<const ListeningSocket* const> sockets, Send send) {
  // An address with its framing takes up to 150 bytes: both limits of a datagram hold.
  constexpr std::size_t kMost = proto::kMaxFdsPerMessage;
  do {
    const auto part = sockets.first(std::min(kMost, sockets.size()));
    sockets = sockets.subspan(part.size());
    Message message;
    std::vector<int> fds;
    for (const ListeningSocket* socket : part) {
      proto::SocketInfo& info = *message.add_sockets();
      *info.mutable_key() = socket->key;
      info.set_index(socket->index);
      fds.push_back(socket->fd.get());
    }
    send(message, std::span<const int>(fds), sockets.empty());
  } while (!sockets.empty());
}

}  // namespace baton::proxy
