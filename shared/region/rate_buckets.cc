#include "shared/region/rate_buckets.h"

#include <algorithm>
#include <limits>

#include "shared/region/slots.h"

namespace baton::region {
namespace {

// The finalizer of splitmix64: keys may be anything, their places must not be.
std::uint64_t mix(std::uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

}  // namespace

RateBuckets::Verdict RateBuckets::try_acquire(std::uint64_t key, std::uint64_t now_ns,
                                              const RateLimit& limit) {
  Atomic64& full_at = bucket_of(key, now_ns).full_at_ns;
  const std::uint64_t capacity = limit.interval_ns * limit.burst;
  std::uint64_t seen = full_at.load(kRelaxed);
  while (true) {
    // A time beyond the capacity is from before the limit was changed, or damage: no debt is
    // longer than a full bucket's. Written down, or that debt would be found again next time.
    const std::uint64_t from = std::clamp(seen, now_ns, now_ns + capacity);
    const std::uint64_t next = from + limit.interval_ns;
    if (next > now_ns + capacity) {
      if (seen > from && !full_at.compare_exchange_weak(seen, from, kRelaxed)) continue;
      return {.allowed = false, .retry_after_ns = next - now_ns - capacity};
    }
    if (full_at.compare_exchange_weak(seen, next, kRelaxed)) return {.allowed = true};
  }
}

RateBucket& RateBuckets::bucket_of(std::uint64_t key, std::uint64_t now_ns) {
  if (key == 0) key = 1;
  const std::uint64_t hash = mix(key);
  const std::uint32_t groups = memory_.bucket_count / kBucketsPerGroup;
  const std::uint32_t places[] = {static_cast<std::uint32_t>(hash) & (groups - 1),
                                  static_cast<std::uint32_t>(hash >> 32) & (groups - 1)};
  while (true) {
    RateBucket* best = nullptr;
    std::uint64_t best_full_at = std::numeric_limits<std::uint64_t>::max();
    for (const std::uint32_t place : places) {
      for (std::uint32_t i = 0; i < kBucketsPerGroup; ++i) {
        RateBucket& bucket = memory_.buckets[place * kBucketsPerGroup + i];
        if (bucket.key.load(kRelaxed) == key) return bucket;
        const std::uint64_t full_at = bucket.full_at_ns.load(kRelaxed);
        if (best != nullptr && full_at >= best_full_at) continue;
        best = &bucket;
        best_full_at = full_at;
      }
    }
    std::uint64_t owner = best->key.load(kRelaxed);
    if (owner == key) return *best;
    if (!best->key.compare_exchange_strong(owner, key, kRelaxed)) continue;
    if (best_full_at > now_ns) best->full_at_ns.store(now_ns, kRelaxed);
    return *best;
  }
}

}  // namespace baton::region
