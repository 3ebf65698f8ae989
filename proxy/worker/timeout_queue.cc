#include "proxy/worker/timeout_queue.h"

#include <algorithm>

namespace baton::proxy {

TimeoutQueue::TimeoutQueue(ev::loop_ref loop, std::chrono::milliseconds time)
    : time_(time), timer_(loop) {
  timer_.set<TimeoutQueue, &TimeoutQueue::on_timer>(this);
}

void TimeoutQueue::arm(Timeout& timeout, CoarseClock::time_point since) {
  timeout.disarm();
  timeout.due_ = since + time_;
  const bool in_order = armed_.empty() || armed_.back().due_ <= timeout.due_;
  (in_order ? armed_ : late_[timeout.due_]).push_back(timeout);
  if (next() != &timeout) return;
  timer_.stop();
  start_timer();
}

Timeout* TimeoutQueue::next() {
  while (!late_.empty() && late_.begin()->second.empty()) late_.erase(late_.begin());
  Timeout* const late = late_.empty() ? nullptr : &late_.begin()->second.front();
  Timeout* const first = armed_.empty() ? late : &armed_.front();
  return late != nullptr && late->due_ < first->due_ ? late : first;
}

void TimeoutQueue::start_timer() {
  const std::chrono::duration<ev::tstamp> left = next()->due_ - CoarseClock::now();
  timer_.start(std::max(0.0, left.count()));
}

// One that fires may arm, disarm or destroy others: the next one is looked for anew each time. What
// is armed meanwhile is due later than this moment, or expires as well.
void TimeoutQueue::on_timer() {
  const CoarseClock::time_point now = CoarseClock::now();
  Timeout* timeout = next();
  while (timeout != nullptr && timeout->due_ <= now) {
    timeout->disarm();
    timeout->fire();
    timeout = next();
  }
  if (timeout != nullptr) start_timer();
}

}  // namespace baton::proxy
