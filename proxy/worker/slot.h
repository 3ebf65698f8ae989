// Read-copy-update: a value that the main thread replaces and every worker reads without a lock.
//
// set() posts the new snapshot to each worker's loop; a worker sees it from its next iteration on,
// never in the middle of a callback. The old snapshot is freed when the last worker has let go.
// Thread: set(): main. get(i): worker i. Borrows: the loops. Outlives them, or their threads.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "proxy/worker/event_loop.h"

namespace baton::proxy {

template <class T>
class Slot {
 public:
  // Before the workers run.
  Slot(std::span<EventLoop* const> loops, std::shared_ptr<const T> initial)
      : loops_(loops.begin(), loops.end()), copies_(loops.size()) {
    for (Copy& copy : copies_) copy.value = initial;
  }
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;

  void set(const std::shared_ptr<const T>& value) {
    for (std::size_t i = 0; i < loops_.size(); ++i) {
      loops_[i]->post([this, i, value] { copies_[i].value = value; });
    }
  }

  // Valid until the worker's callback returns; copy it to keep it longer.
  const std::shared_ptr<const T>& get(std::size_t worker) const { return copies_[worker].value; }

 private:
  struct alignas(64) Copy {  // of one worker: a cache line of its own
    std::shared_ptr<const T> value;
  };

  std::vector<EventLoop*> loops_;
  std::vector<Copy> copies_;
};

}  // namespace baton::proxy
