// The old generation as the new one talks to it, over the succession channel: what it can do, and
// its listening sockets. A predecessor that dies, refuses or stays silent is no failure: the
// supervisor's escrow has the same sockets.
//
// Thread: main. Owns: the channel, kept open for as long as this lives.
#pragma once

#include <chrono>
#include <functional>
#include <vector>

#include "proto/channel.h"
#include "proto/negotiation.h"
#include "proto/types.pb.h"
#include "proxy/worker/event_loop.h"

namespace baton::proxy {

class Predecessor {
 public:
  struct Socket {
    proto::SocketInfo info;
    os::UniqueFd fd;
  };
  // What was to be had: nothing, if anything at all went wrong on the way.
  using Inherited = std::function<void(std::vector<Socket> sockets)>;

  // Called when old begins to hand over connections: channels of its workers, and its pidfd.
  using Arriving = std::function<void(proto::Fds channels, const os::UniqueFd& process)>;

  Predecessor(EventLoop& loop, os::UniqueFd channel, Arriving arriving);

  // Introduces itself, then asks for the sockets of these keys. `inherited` is called exactly once.
  void inherit(const proto::Hello& self, std::vector<proto::SocketKey> keys, Inherited inherited);

 private:
  void on_met(std::expected<proto::Hello, proto::CallError> reply);
  void on_listeners(std::expected<proto::RawReply, proto::CallError> reply);
  void give_up(const std::string& why);

  proto::Channel channel_;
  proto::Hello self_;
  os::UniqueFd process_;
  std::vector<proto::SocketKey> keys_;
  std::vector<Socket> received_;
  Inherited inherited_;
};

}  // namespace baton::proxy
