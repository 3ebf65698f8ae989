// How much a cluster may be used at once, over all workers of the process. What is beyond a limit
// is refused at once, so that a slow cluster cannot take all there is of the proxy; only for a
// connection some may wait (connection_queue.h).
//
//   auto guard = breaker.try_acquire(Circuit::Requests);
//   if (!guard) ... refuse; else keep it as long as the request lives
//
// Thread: any; a locked instruction each. Outlives its guards.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <utility>

#include "proxy/config/config.h"

namespace baton::proxy {

enum class Circuit : std::uint8_t { Connections, PendingRequests, Requests, Retries };
inline constexpr std::size_t kCircuits = 4;

class ConnectionQueue;  // proxy/upstream/connection_queue.h

struct alignas(64) CircuitCount {  // a cache line of its own
  std::atomic<std::uint32_t> value{0};
  std::atomic<std::uint32_t> waiting{0};  // for one of them, in the queue
  ConnectionQueue* queue = nullptr;       // null: nobody ever waits

  // In this order, and each seen by all: see ConnectionQueue.
  void give_back() {
    value.fetch_sub(1);
    if (waiting.load() != 0) hand_on();
  }

 private:
  void hand_on();
};

// One of what is counted; gives it back when destroyed. False: it was refused.
class CircuitGuard {
 public:
  CircuitGuard() = default;
  explicit CircuitGuard(CircuitCount* count) : count_(count) {}
  CircuitGuard(CircuitGuard&& other) noexcept : count_(std::exchange(other.count_, nullptr)) {}
  CircuitGuard& operator=(CircuitGuard&& other) noexcept {
    std::swap(count_, other.count_);
    return *this;
  }
  ~CircuitGuard() {
    if (count_ != nullptr && count_ != &uncounted_) count_->give_back();
  }
  // Admitted where nobody counts.
  static CircuitGuard uncounted() { return CircuitGuard(&uncounted_); }
  explicit operator bool() const { return count_ != nullptr; }

 private:
  static inline CircuitCount uncounted_;  // stays 0
  CircuitCount* count_ = nullptr;
};

class CircuitBreaker {
 public:
  explicit CircuitBreaker(const CircuitLimits& limits)
      : limits_{limits.connections, limits.pending_requests, limits.requests, limits.retries} {}
  CircuitBreaker(const CircuitBreaker&) = delete;
  CircuitBreaker& operator=(const CircuitBreaker&) = delete;

  CircuitGuard try_acquire(Circuit circuit) {
    if (!counts(circuit)) return CircuitGuard::uncounted();
    const auto i = static_cast<std::size_t>(circuit);
    CircuitCount& count = counts_[i];
    // Never more than there may be, not even for a moment: another one would be refused for that.
    std::uint32_t now = count.value.load();
    do {
      if (limits_[i] != 0 && now >= limits_[i]) return CircuitGuard();
    } while (!count.value.compare_exchange_weak(now, now + 1));
    return CircuitGuard(&count);
  }
  // For what exists already, whatever the limit: a connection that has moved here.
  CircuitGuard acquire(Circuit circuit) {
    if (!counts(circuit)) return CircuitGuard::uncounted();
    CircuitCount& count = counts_[static_cast<std::size_t>(circuit)];
    count.value.fetch_add(1, std::memory_order_relaxed);
    return CircuitGuard(&count);
  }
  std::uint32_t in_use(Circuit circuit) const {
    return counts_[static_cast<std::size_t>(circuit)].value.load(std::memory_order_relaxed);
  }
  // For a connection that waits for its next use: that is in nobody's way.
  CircuitGuard acquire_idle() {
    if (!counts(Circuit::Connections)) return CircuitGuard::uncounted();
    idle_.value.fetch_add(1, std::memory_order_relaxed);
    return CircuitGuard(&idle_);
  }
  // Who hands on the places among the connections that become free; null: nobody.
  void serve(ConnectionQueue* queue) { connections().queue = queue; }
  // How many are in that queue.
  std::atomic<std::uint32_t>& waiting() { return connections().waiting; }
  // With those that are idle there are more connections than there should be.
  bool too_many_open() const {
    const std::uint32_t most = limits_[static_cast<std::size_t>(Circuit::Connections)];
    return most != 0 &&
           in_use(Circuit::Connections) + idle_.value.load(std::memory_order_relaxed) > most;
  }

 private:
  CircuitCount& connections() { return counts_[static_cast<std::size_t>(Circuit::Connections)]; }
  // How many connections there are without a limit nobody asks; workers share no cache line for it.
  bool counts(Circuit circuit) const {
    return circuit != Circuit::Connections || limits_[static_cast<std::size_t>(circuit)] != 0;
  }

  std::array<std::uint32_t, kCircuits> limits_;  // 0: none
  std::array<CircuitCount, kCircuits> counts_;
  CircuitCount idle_;
};

}  // namespace baton::proxy
