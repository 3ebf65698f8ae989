#include "shared/region/robust_lock.h"

#include <sched.h>

#include <cerrno>
#include <ctime>

namespace baton::region {
namespace {

std::unexpected<os::Error> lock_error(int code) {
  return std::unexpected(os::Error{code, "lock", "region directory"});
}

int make_mutex(pthread_mutex_t* mutex) {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  // A second lock by one thread is then an error instead of a wait for itself.
  pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
  const int code = pthread_mutex_init(mutex, &attributes);
  pthread_mutexattr_destroy(&attributes);
  return code;
}

timespec deadline_after(std::chrono::milliseconds timeout) {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const auto nanoseconds = now.tv_nsec + (timeout.count() % 1000) * 1'000'000;
  return {now.tv_sec + timeout.count() / 1000 + nanoseconds / 1'000'000'000,
          nanoseconds % 1'000'000'000};
}

#ifdef __SANITIZE_THREAD__
// ThreadSanitizer does not know pthread_mutex_clocklock() and would report every unlock.
int lock_until(pthread_mutex_t* mutex, const timespec& deadline) {
  for (;;) {
    const int code = pthread_mutex_trylock(mutex);
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    const bool late = now.tv_sec > deadline.tv_sec ||
                      (now.tv_sec == deadline.tv_sec && now.tv_nsec >= deadline.tv_nsec);
    if (code != EBUSY) return code;
    if (late) return ETIMEDOUT;
    sched_yield();
  }
}
#else
int lock_until(pthread_mutex_t* mutex, const timespec& deadline) {
  return pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, &deadline);
}
#endif

}  // namespace

RobustLock::RobustLock(LockMemory* memory, WhenUnrecoverable when_unrecoverable)
    : mutex_(reinterpret_cast<pthread_mutex_t*>(memory->bytes)),
      when_unrecoverable_(when_unrecoverable) {}

os::Result<void> RobustLock::initialize() {
  if (const int code = make_mutex(mutex_); code != 0) return lock_error(code);
  return {};
}

bool RobustLock::plausible() const {
  pthread_mutex_t fresh;
  if (make_mutex(&fresh) != 0) return false;
  // The type and protocol bits: with others glibc would run code for mutexes of another kind, some
  // of which asserts.
  const bool same = fresh.__data.__kind == mutex_->__data.__kind;
  pthread_mutex_destroy(&fresh);
  return same;
}

os::Result<RobustLock::Guard> RobustLock::acquire(std::chrono::milliseconds timeout,
                                                  const std::function<void()>& repair) {
  const timespec deadline = deadline_after(timeout);
  int code = lock_until(mutex_, deadline);
  bool reset = false;
  if (code == ENOTRECOVERABLE && when_unrecoverable_ == WhenUnrecoverable::Reset) {
    if (const int made = make_mutex(mutex_); made != 0) return lock_error(made);
    code = lock_until(mutex_, deadline);
    reset = code == 0;  // what it guards is in as unknown a state as a dead owner leaves it
  }
  // Should this process die in its repair, it dies holding the lock: the next one repairs again.
  if (code == EOWNERDEAD || reset) repair();
  if (code == EOWNERDEAD) code = pthread_mutex_consistent(mutex_);
  if (code != 0) return lock_error(code);
  return Guard(mutex_);
}

}  // namespace baton::region
