// Token buckets that overlapping generations share, so that together they enforce one limit.
//
// A bucket is one time: when it will be full again (the "theoretical arrival time" of the generic
// cell rate algorithm, ITU-T I.371). Taking a token moves it one interval ahead; there is none when
// that would be more than `burst` intervals from now. So taking one is one compare-and-swap, time
// refills by itself, and a bucket whose time has passed is worth nothing and may be anybody's.
//
// The table is a fixed set of cache lines of four buckets; a key may be in two of them. When those
// eight are all in use the one that is fullest loses its debt to the newcomer: under pressure of
// too many keys the limits get looser, never tighter. Races (two claims of one bucket at the same
// time) cost at most a token or an extra burst for one key.
//
// Thread: any, of any process. Borrows: the memory.
#pragma once

#include <cstdint>

#include "shared/region/layout.h"

namespace baton::region {

// interval_ns: between two tokens, 1e9 / rate, above 0. burst: how many a full bucket holds.
struct RateLimit {
  std::uint64_t interval_ns = 1'000'000'000;
  std::uint32_t burst = 1;
};

class RateBuckets {
 public:
  struct Verdict {
    bool allowed = false;
    std::uint64_t retry_after_ns = 0;  // when not allowed: how long until there is a token
  };

  explicit RateBuckets(const RuntimeMemory& memory) : memory_(memory) {}

  // Takes a token from the bucket of `key`: a hash of which limit it is and whom it is for.
  // `now_ns`: CLOCK_MONOTONIC.
  Verdict try_acquire(std::uint64_t key, std::uint64_t now_ns, const RateLimit& limit);

 private:
  RateBucket& bucket_of(std::uint64_t key, std::uint64_t now_ns);

  RuntimeMemory memory_;
};

}  // namespace baton::region
