#include "proxy/worker/timeout_queue.h"

#include <algorithm>

namespace baton::proxy {

TimeoutQueue::TimeoutQueue(ev::loop_ref loop, std::chrono::milliseconds time)
    : time_(time), timer_(loop) {
  timer_.set<TimeoutQueue, &TimeoutQueue::on_timer>(this);
}

void TimeoutQueue::start_timer() {
  const std::chrono::duration<ev::tstamp> left = armed_.front().due_ - CoarseClock::now();
  timer_.start(std::max(0.0, left.count()));
}

// One that fires may arm, disarm or destroy others: the list is looked at anew each time. What is
// armed meanwhile is due later than this moment.
void TimeoutQueue::on_timer() {
  const CoarseClock::time_point now = CoarseClock::now();
  while (!armed_.empty() && armed_.front().due_ <= now) {
    Timeout& timeout = armed_.front();
    armed_.pop_front();
    timeout.fire();
  }
  if (!armed_.empty()) start_timer();
}

}  // namespace baton::proxy
