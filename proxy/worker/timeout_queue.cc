#include "proxy/worker/timeout_queue.h"

#include <algorithm>
#include <iterator>

namespace baton::proxy {

TimeoutQueue::TimeoutQueue(ev::loop_ref loop, std::chrono::milliseconds time)
    : time_(time), timer_(loop) {
  timer_.set<TimeoutQueue, &TimeoutQueue::on_timer>(this);
}

void TimeoutQueue::arm(Timeout& timeout, CoarseClock::time_point since) {
  timeout.disarm();
  timeout.due_ = since + time_;
  auto place = armed_.end();
  while (place != armed_.begin() && timeout.due_ < std::prev(place)->due_) --place;
  armed_.insert(place, timeout);
  if (&armed_.front() != &timeout) return;
  timer_.stop();
  start_timer();
}

void TimeoutQueue::start_timer() {
  const std::chrono::duration<ev::tstamp> left = armed_.front().due_ - CoarseClock::now();
  timer_.start(std::max(0.0, left.count()));
}

// One that fires may arm, disarm or destroy others: the list is looked at anew each time. What is
// armed meanwhile is due later than this moment, or expires as well.
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
