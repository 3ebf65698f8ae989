#include "proxy/upstream/connection_queue.h"

#include <utility>

#include "proxy/worker/event_loop.h"

namespace baton::proxy {

ConnectionQueue::ConnectionQueue(CircuitBreaker& breaker) : breaker_(breaker) {
  breaker_.serve(this);
}

ConnectionQueue::~ConnectionQueue() { breaker_.serve(nullptr); }

std::shared_ptr<ConnectionQueue::Ticket> ConnectionQueue::wait(EventLoop& loop, Waiter& waiter) {
  auto ticket = std::make_shared<Ticket>(loop, &waiter);
  {
    const std::lock_guard lock(mutex_);
    ticket->at = queue_.insert(queue_.end(), ticket);
    breaker_.waiting().fetch_add(1);
  }
  hand_on();
  return ticket;
}

void ConnectionQueue::leave(Ticket& ticket) {
  ticket.waiter = nullptr;
  // Given back behind the lock: that hands it on.
  CircuitGuard unwanted;
  const std::lock_guard lock(mutex_);
  unwanted = std::move(ticket.place);
  if (!std::exchange(ticket.queued, false)) return;
  breaker_.waiting().fetch_sub(1);
  queue_.erase(ticket.at);
}

void ConnectionQueue::hand_on() {
  const std::lock_guard lock(mutex_);
  while (!queue_.empty()) {
    CircuitGuard place = breaker_.try_acquire(Circuit::Connections);
    if (!place) return;
    const std::shared_ptr<Ticket> ticket = std::move(queue_.front());
    queue_.pop_front();
    breaker_.waiting().fetch_sub(1);
    ticket->queued = false;
    ticket->place = std::move(place);
    ticket->loop.post([this, ticket] { deliver(*ticket); });
  }
}

// The queue may have gone together with those who have left it.
void ConnectionQueue::deliver(Ticket& ticket) {
  if (ticket.waiter == nullptr) return;
  CircuitGuard place;
  {
    const std::lock_guard lock(mutex_);
    place = std::move(ticket.place);
  }
  std::exchange(ticket.waiter, nullptr)->on_place(std::move(place));
}

}  // namespace baton::proxy
