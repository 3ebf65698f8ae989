#include "proxy/worker/timeout_queue.h"

#include <algorithm>

namespace baton::proxy {

TimeoutQueue::TimeoutQueue(ev::loop_ref loop, std::chrono::milliseconds time)
    : loop_(loop), seconds_(std::chrono::duration<ev::tstamp>(time).count()), timer_(loop) {
  timer_.set<TimeoutQueue, &TimeoutQueue::on_timer>(this);
}

void TimeoutQueue::start_timer() { timer_.start(std::max(0.0, armed_.front().due_ - loop_.now())); }

// One that fires may arm, disarm or destroy others: the list is looked at anew each time. What is
// armed meanwhile is due later than this moment.
void TimeoutQueue::on_timer() {
  const ev::tstamp now = loop_.now();
  while (!armed_.empty() && armed_.front().due_ <= now) {
    Timeout& timeout = armed_.front();
    armed_.pop_front();
    timeout.fire();
  }
  if (!armed_.empty()) start_timer();
}

}  // namespace baton::proxy
