// Requests that wait for a place among a cluster's max_connections: first come, first served, over
// all workers of the process.
//
//   wait() ─► queued ── a place is free ─► granted ── posted to its worker ─► Waiter::on_place()
//               └────────────── leave() ──────┘ the place goes to the next one
//
// Who waits costs nothing until it is its turn: whoever gives a place back hands it on.
// No place stays free while somebody waits: wait() looks for one after it has counted itself,
// a place that is given back is counted free before its giver looks whether somebody waits.
//
// Thread: any; a ticket: its loop's. Borrows: breaker, loops, waiters. Outlives every ticket in
// use.
#pragma once

#include <list>
#include <memory>
#include <mutex>

#include "proxy/upstream/circuit_breaker.h"

namespace baton::proxy {

class EventLoop;

class ConnectionQueue {
 public:
  class Waiter {
   public:
    // Later, on the loop it waits on. Its ticket is used up.
    virtual void on_place(CircuitGuard place) = 0;

   protected:
    ~Waiter() = default;
  };
  struct Ticket {
    EventLoop& loop;
    Waiter* waiter;      // null: it has left
    CircuitGuard place;  // guarded by mutex_; granted, and not taken yet
    std::list<std::shared_ptr<Ticket>>::iterator at;
    bool queued = true;  // guarded by mutex_
  };

  explicit ConnectionQueue(CircuitBreaker& breaker);
  ~ConnectionQueue();
  ConnectionQueue(const ConnectionQueue&) = delete;
  ConnectionQueue& operator=(const ConnectionQueue&) = delete;

  bool empty() const { return breaker_.waiting() == 0; }
  [[nodiscard]] std::shared_ptr<Ticket> wait(EventLoop& loop, Waiter& waiter);
  // Whoever waits no longer must say so; nothing once the ticket is used up.
  void leave(Ticket& ticket);
  // Places may have become free.
  void hand_on();

 private:
  void deliver(Ticket& ticket);

  CircuitBreaker& breaker_;
  std::mutex mutex_;
  std::list<std::shared_ptr<Ticket>> queue_;  // guarded by mutex_
};

}  // namespace baton::proxy
