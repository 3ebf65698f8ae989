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
#include <functional>
#include <optional>
#include <random>
#include <utility>

#include "proxy/network/coarse_clock.h"
#include "shared/os/random_seed.h"

namespace baton::proxy {

enum class DrainStrategy : std::uint8_t { Gradual, Immediate };

// Whether connections move to the next generation at their boundaries.
enum class Moving : std::uint8_t {
  Off,    // nobody takes them
  Later,  // it does not answer at the moment: they go on here meanwhile
  Now,    // who comes to a boundary stops there, and is moved at once
};

class DrainState {
 public:
  // Again: the new time and strategy count from now on, the beginning stays.
  void begin(std::chrono::milliseconds time, DrainStrategy strategy) {
    if (!began_) began_ = CoarseClock::now();
    ends_ = CoarseClock::now() + time;
    strategy_ = strategy;
  }
  bool draining() const { return began_.has_value(); }

  void set_moving(Moving moving) { moving_ = moving; }
  Moving moving() const { return moving_; }
  // Called when a connection stops at its boundary so that it can be moved.
  void on_boarding(std::function<void()> called) { on_boarding_ = std::move(called); }
  void board() const {
    if (on_boarding_) on_boarding_();
  }

  // Whether one that can move goes on behind this boundary: unless the time left is hardly enough
  // for a generation that does not answer.
  bool keeps_movable() const {
    return moving_ == Moving::Now || (moving_ == Moving::Later && !nearly_over());
  }

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
  bool nearly_over() const {
    return began_ && CoarseClock::now() >= ends_ - (ends_ - *began_) / 10;
  }

  std::optional<CoarseClock::time_point> began_;
  CoarseClock::time_point ends_;
  DrainStrategy strategy_ = DrainStrategy::Gradual;
  Moving moving_ = Moving::Off;
  std::function<void()> on_boarding_;
  std::minstd_rand random_{os::random_seed()};
};

}  // namespace baton::proxy
