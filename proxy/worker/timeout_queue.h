// Timeouts that all last equally long: they expire in the order they were armed, so arming and
// disarming one is a list operation, whatever their number, and one timer of the loop does for all.
//
// They go by the monotonic clock: ev_now() is the wall clock, which may be set.
// Thread: its worker's.
#pragma once

#include <boost/intrusive/list.hpp>
#include <ev++.h>

#include <chrono>
#include <map>
#include <memory>

#include "proxy/network/coarse_clock.h"

namespace baton::proxy {

class TimeoutQueue;

// Until one that has expired is looked at again: the loop tells of timers first, then of so many
// sockets at a time. What came while this process was kept from running is read within it.
inline constexpr std::chrono::milliseconds kTimeToRead{100};

// One of them; a member of whoever waits. Not armed any more once it is destroyed.
class Timeout : public boost::intrusive::list_base_hook<
                    boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  Timeout() = default;
  Timeout(const Timeout&) = delete;
  Timeout& operator=(const Timeout&) = delete;

  // Before it is armed: what is called on expiry, when it is no longer armed.
  template <class Owner, void (Owner::*Method)()>
  void set(Owner* owner) {
    owner_ = owner;
    fire_ = [](void* object) { (static_cast<Owner*>(object)->*Method)(); };
  }
  bool armed() const { return is_linked(); }
  void fire() { fire_(owner_); }
  void disarm() {
    if (is_linked()) unlink();
  }

 private:
  friend class TimeoutQueue;
  void* owner_ = nullptr;
  void (*fire_)(void*) = nullptr;
  CoarseClock::time_point due_;
};

class TimeoutQueue {
 public:
  // time > 0.
  TimeoutQueue(ev::loop_ref loop, std::chrono::milliseconds time);
  TimeoutQueue(const TimeoutQueue&) = delete;
  TimeoutQueue& operator=(const TimeoutQueue&) = delete;

  std::chrono::milliseconds time() const { return time_; }
  // From now; armed already, here or elsewhere: begins anew.
  void arm(Timeout& timeout) {
    timeout.disarm();
    timeout.due_ = CoarseClock::now() + time_;
    armed_.push_back(timeout);
    if (!timer_.is_active()) start_timer();
  }
  // As if it had been armed at `since`, which is not later than now.
  void arm(Timeout& timeout, CoarseClock::time_point since);
  // When that was. Of one that was armed here last, even if it has expired.
  CoarseClock::time_point armed_at(const Timeout& timeout) const { return timeout.due_ - time_; }

 private:
  using List = boost::intrusive::list<Timeout, boost::intrusive::constant_time_size<false>>;

  Timeout* next();  // to expire; null: nothing is armed
  void start_timer();
  void on_timer();

  const std::chrono::milliseconds time_;
  List armed_;  // by the time they are due
  // Those due earlier than one that had been armed before them; empty ones go when they are due.
  std::map<CoarseClock::time_point, List> late_;
  ev::timer timer_;  // active while anything is armed, or a little longer
};

// The queues of one worker, by their time.
class TimeoutQueues {
 public:
  explicit TimeoutQueues(ev::loop_ref loop) : loop_(loop) {}

  // Made when asked for; valid as long as this.
  TimeoutQueue& of(std::chrono::milliseconds time) {
    auto& queue = queues_[time];
    if (!queue) queue = std::make_unique<TimeoutQueue>(loop_, time);
    return *queue;
  }

 private:
  ev::loop_ref loop_;
  std::map<std::chrono::milliseconds, std::unique_ptr<TimeoutQueue>> queues_;
};

}  // namespace baton::proxy
