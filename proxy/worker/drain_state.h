// Whether a worker's connections are to end at their next message boundary.
//
//   gradual:   at a boundary, with a probability that grows from 0 to 1 over the drain time, so
//   that
//              clients come back spread over it
//   immediate: at the first boundary
//
// Thread: its worker's.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <random>

#include "proxy/network/coarse_clock.h"

namespace baton::proxy {

enum class DrainStrategy : std::uint8_t { Gradual, Immediate };

class DrainState {
 public:
  // Again: the new time and strategy count from now on, the beginning stays.
  void begin(std::chrono::milliseconds time, DrainStrategy strategy) {
    if (!began_) began_ = CoarseClock::now();
    ends_ = CoarseClock::now() + time;
    strategy_ = strategy;
  }
  bool draining() const { return began_.has_value(); }

  // Connections move to the next generation at their boundaries: those that can need not end there.
  void set_moving(bool moving) { moving_ = moving; }
  bool moving() const { return moving_; }

  // To be asked once at each boundary.
  bool closes_now() {
    if (!began_) return false;
    if (strategy_ == DrainStrategy::Immediate) return true;
    const auto now = CoarseClock::now();
    if (now >= ends_) return true;
    return std::uniform_int_distribution<CoarseClock::rep>(1, (ends_ - *began_).count())(random_) <=
           (now - *began_).count();
  }

 private:
  std::optional<CoarseClock::time_point> began_;
  CoarseClock::time_point ends_;
  DrainStrategy strategy_ = DrainStrategy::Gradual;
  bool moving_ = false;
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace baton::proxy
