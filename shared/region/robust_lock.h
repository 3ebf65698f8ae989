// A mutex in shared memory that survives the death of its owner, kill -9 included.
//
// When an owner dies holding it, the next one to lock it gets it together with the duty to repair
// what it guards: acquire() runs the repair first. Boost.Interprocess's mutexes would hang instead.
// Thread: any, of any process that maps the memory. Borrows: the memory.
// Source: pthread_mutexattr_setrobust(3), pthread_mutex_consistent(3).
#pragma once

#include <pthread.h>

#include <chrono>
#include <functional>
#include <utility>

#include "shared/os/error.h"
#include "shared/region/layout.h"

namespace baton::region {

class RobustLock {
 public:
  // What to do with a mutex that nobody can lock any more (an owner's heir let go of it without
  // repairing). Only the supervisor resets it: one process, so that no two do it at once.
  enum class WhenUnrecoverable { Fail, Reset };

  // Holds the lock; lets go when destroyed.
  class Guard {
   public:
    explicit Guard(pthread_mutex_t* mutex) : mutex_(mutex) {}
    Guard(Guard&& other) noexcept : mutex_(std::exchange(other.mutex_, nullptr)) {}
    Guard& operator=(Guard&&) = delete;
    ~Guard() {
      if (mutex_ != nullptr) pthread_mutex_unlock(mutex_);
    }

   private:
    pthread_mutex_t* mutex_;
  };

  RobustLock(LockMemory* memory, WhenUnrecoverable when_unrecoverable);

  // Makes a fresh mutex of the memory; nobody else may use it yet.
  os::Result<void> initialize();
  // False: the memory does not hold a mutex that initialize() made, and must not be locked.
  bool plausible() const;

  // Waits for at most `timeout` (the owner may be stopped or hung). `repair` runs with the lock
  // held when the last owner died holding it; it must not throw. Errors: ETIMEDOUT, EDEADLK (this
  // thread holds it), ENOTRECOVERABLE.
  os::Result<Guard> acquire(std::chrono::milliseconds timeout, const std::function<void()>& repair);

 private:
  pthread_mutex_t* mutex_;
  WhenUnrecoverable when_unrecoverable_;
};

static_assert(sizeof(pthread_mutex_t) <= sizeof(LockMemory));

}  // namespace baton::region
