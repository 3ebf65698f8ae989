// Whether max_connections keeps clients of a listener waiting, as all its workers see it together:
// so that it is counted once, not once by each worker that comes across it.
// Thread: any. One per listener of a process.
#pragma once

#include <atomic>

namespace baton::proxy {

class ConnectionLimit {
 public:
  // A client waits because the limit is reached. True: nobody has said so since the last leave().
  bool reach() { return !reached_.exchange(true, std::memory_order_relaxed); }
  // There was room for a client. Usually nothing but a read.
  void leave() {
    if (reached_.load(std::memory_order_relaxed)) reached_.store(false, std::memory_order_relaxed);
  }

 private:
  std::atomic<bool> reached_ = false;
};

}  // namespace baton::proxy
