// The way of a generation back under a supervisor, when its own has died: it knocks at the control
// socket until there is one that knows it, hands over what that one needs, and gets a channel.
//
// Thread: main. Owns: the connection. Borrows: the loop, and during an attempt what it hands over.
// Invariants: the token is sent to nobody but root or this process's own user, and never logged;
// `home` is called from the loop, once for each start().
// Source: docs/protocol.md, "Coming back".
#pragma once

#include <ev++.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "proto/channel.h"
#include "proto/generation.pb.h"
#include "proxy/server/listening_sockets.h"

namespace baton::proxy {

class Homecoming {
 public:
  // Where to knock, and how it is known there.
  struct Door {
    std::string control_path;
    std::uint64_t generation = 0;
    std::string token;
  };
  // As they are at the time of an attempt; all borrowed.
  struct Belongings {
    proto::Standing standing = proto::STANDS_SERVING;
    std::chrono::milliseconds drain_left{0};
    std::vector<std::pair<proto::FdRole, int>> fds;
    std::vector<const ListeningSocket*> sockets;
  };
  using Home = std::function<void(os::UniqueFd channel)>;

  Homecoming(ev::loop_ref loop, Door door, std::function<Belongings()> belongings, Home home);
  Homecoming(const Homecoming&) = delete;
  Homecoming& operator=(const Homecoming&) = delete;

  // Knocks at once, then every kHurried, after kHurriedAttempts every kPatient. Goes on until home.
  void start();

  static constexpr std::chrono::milliseconds kHurried{50};
  static constexpr int kHurriedAttempts = 200;
  static constexpr std::chrono::milliseconds kPatient{1000};

 private:
  using Reply = std::expected<proto::CameBack, proto::CallError>;

  void knock() noexcept;
  void knock_again();
  void hand_over();
  void send(proto::ComeBack request, std::span<const int> fds);
  void on_reply(const Reply& reply, proto::Fds fds, bool last);

  ev::loop_ref loop_;
  const Door door_;
  std::function<Belongings()> belongings_;
  Home home_;
  int attempts_ = 0;
  bool refused_ = false;  // and the log has it
  std::unique_ptr<proto::Channel> connection_;
  ev::timer next_;
};

}  // namespace baton::proxy
