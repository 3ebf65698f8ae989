// Goes on with the UDP sessions that a worker of the generation before lends: on loan until that
// commits them or is gone, and then as this process's own.
//
// One that ends meanwhile is reported, so that it keeps no place there.
//
// It is gone when the channel ends without a word. Should it still live, it goes on with the
// sessions, too, which datagrams allow: each is read once, by either.
//
// Thread: its worker's. Owns: the channel. Borrows: listeners, counters. Outlives the loans.
#pragma once

#include <ev++.h>

#include <expected>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "proto/channel.h"
#include "proto/move.pb.h"
#include "proxy/move/move_counters.h"
#include "proxy/move/move_hooks.h"
#include "proxy/udp/udp_listener.h"

namespace baton::proxy {

class SessionBorrower final : private udp::Session::Lender {
 public:
  using Listeners = std::vector<std::unique_ptr<udp::UdpListener>>;
  struct Options {
    ev::loop_ref loop;
    os::UniqueFd channel;
    const Listeners& listeners;
    MoveCounters& counters;
    const MoveHooks& hooks;
    // All are here, or no more will come; called once. Datagrams must not wait for longer.
    std::function<void()> settled;
    // The lender reads the listeners' sockets again.
    std::function<void()> yield;
  };

  explicit SessionBorrower(Options options);
  SessionBorrower(const SessionBorrower&) = delete;
  SessionBorrower& operator=(const SessionBorrower&) = delete;

  // Clients' datagrams wait for the sessions at most as long.
  static constexpr std::chrono::milliseconds kPatience{1000};

 private:
  struct Loan {
    udp::UdpListener* listener;
    udp::FlowKey flow;
  };

  proto::MoveVerdicts borrow(const proto::SessionBatch& batch, std::span<os::UniqueFd> fds);
  proto::MoveVerdict borrow_one(const proto::SessionRecord& record, os::UniqueFd fd);
  void keep();
  void give_back(const proto::SessionsEvent& event);
  void settle();
  void on_ended(const std::string& listener, const udp::FlowKey& flow) override;
  void report_ended();

  Options options_;
  std::uint64_t fd_ceiling_;
  std::vector<Loan> loans_;
  proto::SessionBatch ended_;  // not reported yet
  ev::timer report_;
  ev::timer patience_;
  proto::Channel channel_;
};

}  // namespace baton::proxy
