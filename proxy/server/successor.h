// The next generation as the old one serves it, over the succession channel: answers who it is, and
// passes the listening sockets asked for.
//
// Thread: main. Owns: the channel. Borrows: the sockets.
// Whatever arrives here, this generation goes on: a malformed message closes the channel only.
#pragma once

#include <functional>

#include "proto/channel.h"
#include "proto/types.pb.h"
#include "proxy/server/listening_sockets.h"
#include "proxy/server/session_channel.h"
#include "proxy/worker/event_loop.h"

namespace baton::proxy {

class Successor {
 public:
  // `met`: it has introduced itself. `gone`: it is not connected any more.
  struct Events {
    std::function<void()> met;
    std::function<void()> gone;
  };
  Successor(EventLoop& loop, os::UniqueFd channel, proto::Hello self,
            const ListeningSockets& sockets, Events events);

  // False: it has died, or was cut off for what it sent.
  bool connected() const { return channel_.open(); }
  // The reload to it has failed: it does not follow, though it may live on for a while.
  void dismiss() { dismissed_ = true; }
  void take_back() { dismissed_ = false; }
  bool follows() const { return connected() && !dismissed_; }
  // It has said that it does.
  bool takes_connections() const { return takes_connections_; }
  // 0: it does not say.
  std::size_t workers() const { return workers_; }
  // Its ends of channels to the workers here: the i-th is for its worker i % workers().
  void send_channels(std::vector<os::UniqueFd> channels);
  // How many workers it has if it borrows UDP sessions, else 0.
  std::size_t borrowing_workers() const { return borrows_sessions_ ? workers_ : 0; }
  // The sockets are not read here any more: it may read them once it has the sessions.
  void send_session_channels(std::vector<SessionChannel> channels);

 private:
  proto::Channel channel_;
  proto::Hello self_;
  const ListeningSockets& sockets_;
  Events events_;
  bool dismissed_ = false;
  bool takes_connections_ = false;
  bool borrows_sessions_ = false;
  std::size_t workers_ = 0;
};

}  // namespace baton::proxy
