// Lends a worker's UDP sessions to a worker of the next generation, in slices, when this one has
// paused; and lets go of them at the commit.
//
//   RUN ─ freeze, SESSIONS_LEND ─► OFFERED ─ accepted ─► LENT ─ commit() ─► closed here
//    ▲                                │ rejected           │ end(), new has died
//    └────────────────────────────────┴────────────────────┘
//
// One that ends on the other side while it is lent is gone here, too, as soon as that says so.
//
// Unlike a connection a session is carried on by new before the commit: new reads the listener's
// sockets, and a datagram for an endpoint must leave from the socket that the endpoint knows. That
// does no harm if new fails: there is no state between datagrams, each is read once, by whichever
// process, and an answer that new did not read waits in the socket that this side still has.
//
// Thread: its worker's. Owns: the channel. Borrows: listeners, counters. Sessions stay their
// listener's all the time, and may end in between.
#pragma once

#include <ev++.h>

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <vector>

#include "proto/channel.h"
#include "proto/move.pb.h"
#include "proxy/move/move_counters.h"
#include "proxy/move/move_hooks.h"
#include "proxy/udp/udp_listener.h"

namespace baton::proxy {

class SessionLender {
 public:
  using Listeners = std::vector<std::unique_ptr<udp::UdpListener>>;
  struct Options {
    ev::loop_ref loop;
    os::UniqueFd channel;
    std::vector<int> sockets;  // sessions that reply through these; as given to accept_on()
    const Listeners& listeners;
    MoveCounters& counters;
    const MoveHooks& hooks;
    std::function<void()> ended;  // over(); may be empty
  };

  explicit SessionLender(Options options);
  SessionLender(const SessionLender&) = delete;
  SessionLender& operator=(const SessionLender&) = delete;

  // What new has accepted is its own, at once or once everything is offered.
  void commit();
  // There is no commit: every session goes on here. `reads`: as the listeners' sockets do, of which
  // new is told.
  void end(bool reads = false);

  // Nothing more will come of it: what new has accepted is its own, the rest goes on here.
  bool over() const { return over_; }

  static constexpr std::size_t kLargestBatch = 64;
  static constexpr std::chrono::milliseconds kAnswerTime{2000};

 private:
  struct Loan {
    udp::UdpListener* listener;
    udp::FlowKey flow;
  };
  using Answer = std::expected<proto::MoveVerdicts, proto::CallError>;

  void find_sessions(const std::vector<int>& sockets);
  void offer_next();
  bool freeze(const Loan& loan, proto::SessionBatch& batch, std::vector<int>& fds);
  void on_answer(const Answer& answer);
  void on_failure(const proto::CallError& error);
  void settle(const proto::MoveVerdicts& verdicts);
  void on_ended(const proto::SessionBatch& batch);
  void hand_over();
  void take_back(std::vector<Loan>& loans, bool were_lent);

  const Listeners& listeners_;
  MoveCounters& counters_;
  const MoveHooks& hooks_;
  std::function<void()> ended_;
  std::vector<Loan> left_;     // not offered yet; the next ones are at the end
  std::vector<Loan> offered_;  // no answer yet
  std::vector<Loan> lent_;
  std::vector<proto::MoveVerdict> rejected_;  // counted at the commit
  std::size_t batch_size_ = kLargestBatch;    // less after a shortage, until it has passed
  bool all_offered_ = false;
  bool committed_ = false;
  bool over_ = false;
  ev::timer next_;
  proto::Channel channel_;
};

}  // namespace baton::proxy
