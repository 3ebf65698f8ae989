#include "shared/region/robust_lock.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "tests/unit/region/child.h"

namespace baton::region {
namespace {

using namespace std::chrono_literals;
using When = RobustLock::WhenUnrecoverable;

// A lock in memory that forked children share.
class SharedLock {
 public:
  SharedLock()
      : memory_(static_cast<LockMemory*>(::mmap(nullptr, sizeof(LockMemory), PROT_READ | PROT_WRITE,
                                                MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {
    REQUIRE(memory_ != MAP_FAILED);
    REQUIRE(as(When::Fail).initialize().has_value());
  }
  ~SharedLock() { ::munmap(memory_, sizeof(LockMemory)); }

  RobustLock as(When when) { return RobustLock(memory_, when); }
  pthread_mutex_t* mutex() { return reinterpret_cast<pthread_mutex_t*>(memory_->bytes); }
  LockMemory* memory() { return memory_; }

  // Takes the lock in a process that is killed with it.
  void abandon() {
    Child child([&](auto reached) {
      const auto guard = as(When::Fail).acquire(1s, [] {});
      reached();
      wait_to_be_killed();
    });
    child.wait_until_reached();
    child.kill();
  }

 private:
  LockMemory* memory_;
};

TEST_CASE("lock: the heir of a killed owner repairs, once") {
  SharedLock shared;
  shared.abandon();
  int repairs = 0;
  for (int i = 0; i < 2; ++i) {
    CHECK(shared.as(When::Fail).acquire(1s, [&] { ++repairs; }).has_value());
  }
  CHECK(repairs == 1);
}

TEST_CASE("lock: an heir killed in its repair leaves the repair to the next one") {
  SharedLock shared;
  shared.abandon();
  Child heir([&](auto reached) {
    const auto guard = shared.as(When::Fail).acquire(1s, [&] {
      reached();
      wait_to_be_killed();
    });
  });
  heir.wait_until_reached();
  heir.kill();
  bool repaired = false;
  CHECK(shared.as(When::Fail).acquire(1s, [&] { repaired = true; }).has_value());
  CHECK(repaired);
}

TEST_CASE("lock: a stopped owner is an error after the time-out, not a hang") {
  SharedLock shared;
  Child child([&](auto reached) {
    const auto guard = shared.as(When::Fail).acquire(1s, [] {});
    reached();
    wait_to_be_killed();
  });
  child.wait_until_reached();
  child.stop();
  const auto guard = shared.as(When::Reset).acquire(20ms, [] {});
  REQUIRE_FALSE(guard.has_value());
  CHECK(guard.error().code == ETIMEDOUT);
}

TEST_CASE("lock: taken twice by one thread is an error, not a hang") {
  SharedLock shared;
  const auto first = shared.as(When::Fail).acquire(1s, [] {});
  REQUIRE(first.has_value());
  CHECK_FALSE(shared.as(When::Fail).acquire(20ms, [] {}).has_value());
}

// glibc's trylock, which stands in under ThreadSanitizer, leaves such a mutex locked.
#ifdef __SANITIZE_THREAD__
constexpr bool kUsesTrylock = true;
#else
constexpr bool kUsesTrylock = false;
#endif

TEST_CASE("lock: one that nobody can lock any more is reset by the supervisor only" *
          doctest::skip(kUsesTrylock)) {
  SharedLock shared;
  shared.abandon();
  REQUIRE(pthread_mutex_lock(shared.mutex()) == EOWNERDEAD);
  REQUIRE(pthread_mutex_unlock(shared.mutex()) == 0);  // without pthread_mutex_consistent()

  const auto refused = shared.as(When::Fail).acquire(1s, [] {});
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == ENOTRECOVERABLE);

  bool repaired = false;
  CHECK(shared.as(When::Reset).acquire(1s, [&] { repaired = true; }).has_value());
  CHECK(repaired);
  CHECK(shared.as(When::Fail).acquire(1s, [] {}).has_value());
}

TEST_CASE("lock: memory that holds no lock is told apart") {
  SharedLock shared;
  CHECK(shared.as(When::Fail).plausible());
  std::memset(shared.memory(), 0x5a, sizeof(LockMemory));
  CHECK_FALSE(shared.as(When::Fail).plausible());
}

}  // namespace
}  // namespace baton::region
