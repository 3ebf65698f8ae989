// How much a cluster may be used at once, over all workers of the process. What is beyond a limit
// is refused at once, so that a slow cluster cannot take all there is of the proxy.
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

// One of what is counted; gives it back when destroyed. False: it was refused.
class CircuitGuard {
 public:
  CircuitGuard() = default;
  explicit CircuitGuard(std::atomic<std::uint32_t>* count) : count_(count) {}
  CircuitGuard(CircuitGuard&& other) noexcept : count_(std::exchange(other.count_, nullptr)) {}
  CircuitGuard& operator=(CircuitGuard&& other) noexcept {
    std::swap(count_, other.count_);
    return *this;
  }
  ~CircuitGuard() {
    if (count_ != nullptr && count_ != &uncounted_) count_->fetch_sub(1, std::memory_order_relaxed);
  }
  // Admitted where nobody counts.
  static CircuitGuard uncounted() { return CircuitGuard(&uncounted_); }
  explicit operator bool() const { return count_ != nullptr; }

 private:
  static inline std::atomic<std::uint32_t> uncounted_{0};  // stays so
  std::atomic<std::uint32_t>* count_ = nullptr;
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
    std::atomic<std::uint32_t>& count = counts_[i].value;
    if (count.fetch_add(1, std::memory_order_relaxed) >= limits_[i] && limits_[i] != 0) {
      count.fetch_sub(1, std::memory_order_relaxed);
      return CircuitGuard();
    }
    return CircuitGuard(&count);
  }
  // For what exists already, whatever the limit: a connection that has moved here.
  CircuitGuard acquire(Circuit circuit) {
    if (!counts(circuit)) return CircuitGuard::uncounted();
    std::atomic<std::uint32_t>& count = counts_[static_cast<std::size_t>(circuit)].value;
    count.fetch_add(1, std::memory_order_relaxed);
    return CircuitGuard(&count);
  }
  std::uint32_t in_use(Circuit circuit) const {
    return counts_[static_cast<std::size_t>(circuit)].value.load(std::memory_order_relaxed);
  }
  // For a connection that waits for its next use: that is in nobody's way.
  CircuitGuard acquire_idle() {
    if (!counts(Circuit::Connections)) return CircuitGuard::uncounted();
    idle_.value.fetch_add(1, std::memory_order_relaxed);
    return CircuitGuard(&idle_.value);
  }
  // With those that are idle there are more connections than there should be.
  bool too_many_open() const {
    const std::uint32_t most = limits_[static_cast<std::size_t>(Circuit::Connections)];
    return most != 0 &&
           in_use(Circuit::Connections) + idle_.value.load(std::memory_order_relaxed) > most;
  }

 private:
  // How many connections there are without a limit nobody asks; workers share no cache line for it.
  bool counts(Circuit circuit) const {
    return circuit != Circuit::Connections || limits_[static_cast<std::size_t>(circuit)] != 0;
  }

  struct alignas(64) Count {  // a cache line of its own
    std::atomic<std::uint32_t> value{0};
  };

  std::array<std::uint32_t, kCircuits> limits_;  // 0: none
  std::array<Count, kCircuits> counts_;
  Count idle_;
};

}  // namespace baton::proxy
