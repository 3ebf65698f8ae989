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
#include "proto/succession.pb.h"
#include "proto/types.pb.h"
#include "proxy/server/session_channel.h"
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

  struct Events {
    // Old begins to hand over connections: channels of its workers, and its pidfd.
    std::function<void(proto::Fds channels, const os::UniqueFd& process)> arriving;
    // Old has paused, and begins to lend UDP sessions.
    std::function<void(std::vector<SessionChannel> channels)> lending;
    // It has died, or was cut off for what it sent.
    std::function<void()> gone;
  };

  Predecessor(EventLoop& loop, os::UniqueFd channel, Events events);

  // Introduces itself, then asks for the sockets of these keys. `inherited` is called exactly once.
  void inherit(const proto::Hello& self, std::vector<proto::SocketKey> keys, Inherited inherited);

  // Introduces itself only: what it sends of itself is all there is to have.
  void meet(const proto::Hello& self);

  // False: it has died, or was cut off for what it sent.
  bool connected() const { return channel_.open(); }
  // Once it has paused; known when `inherited` is called.
  bool will_lend_sessions() const { return will_lend_sessions_ && channel_.open(); }

 private:
  void on_session_channels(const proto::SessionChannels& message, proto::Fds fds);
  void on_met(std::expected<proto::Hello, proto::CallError> reply);
  void on_listeners(std::expected<proto::RawReply, proto::CallError> reply);
  void give_up(const std::string& why);

  proto::Channel channel_;
  proto::Hello self_;
  os::UniqueFd process_;
  std::vector<proto::SocketKey> keys_;
  std::vector<Socket> received_;
  Inherited inherited_;
  Events events_;
  bool will_lend_sessions_ = false;
};

}  // namespace baton::proxy
