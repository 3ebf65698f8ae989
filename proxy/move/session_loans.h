// All that one worker lends to the next generation and borrows from the one before.
//
//   new: hold() ─► borrow() ─ all are here, or cannot come ─► datagrams are read
//   old: lend() ─► commit() or take_back()
//   new, at a take_back(): datagrams are old's again, unless that dies before this one is drained
//
// Thread: its worker's. Owns: the channels. Borrows: everything in Options.
#pragma once

#include <ev++.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "proxy/move/session_borrower.h"
#include "proxy/move/session_lender.h"

namespace baton::proxy {

class SessionLoans {
 public:
  using Listeners = std::vector<std::unique_ptr<udp::UdpListener>>;
  struct Options {
    ev::loop_ref loop;
    const Listeners& listeners;
    MoveCounters& counters;
    const MoveHooks& hooks;
  };

  explicit SessionLoans(const Options& options);

  // Sessions that reply through `sockets`, which are not read here any more.
  void lend(os::UniqueFd channel, std::vector<int> sockets);
  void commit();
  void take_back();
  // After commit(), once: each session that could be lent is new's, or goes on here.
  void when_settled(std::function<void()> settled);

  // Clients' datagrams wait from now on until borrow() is through or read() is called; not longer
  // than SessionBorrower::kPatience, should the generation before not say anything.
  void hold();
  void read();
  // Those of all workers that have any for this one; called once.
  void borrow(std::vector<os::UniqueFd> channels);

 private:
  void report_if_settled();
  void yield();

  Options options_;
  std::vector<std::unique_ptr<SessionLender>> lenders_;
  std::function<void()> settled_;  // when_settled()
  std::vector<std::unique_ptr<SessionBorrower>> borrowers_;
  std::size_t unsettled_ = 0;
  ev::timer patience_;
};

}  // namespace baton::proxy
