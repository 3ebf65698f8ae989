// The buckets of a log-linear histogram: eight equally wide ones for each power of two.
//
// Bounded error: a bucket is never wider than an eighth of its lowest value, so a value read back
// as the middle of its bucket is off by at most 1/16 (6.25 %). Values up to 15 are exact; values
// above kLargestValue (in microseconds: 50 days) count in the last bucket. The sum is kept apart
// and is exact.
// Thread: none; pure functions.
#pragma once

#include <bit>
#include <cstdint>

namespace baton::region {

inline constexpr std::uint32_t kBucketsPerOctaveLog2 = 3;
inline constexpr std::uint32_t kBucketsPerOctave = 1U << kBucketsPerOctaveLog2;
inline constexpr std::uint32_t kLargestValueBits = 42;
inline constexpr std::uint64_t kLargestValue = (std::uint64_t{1} << kLargestValueBits) - 1;
inline constexpr std::uint32_t kBuckets =
    (kLargestValueBits - kBucketsPerOctaveLog2 + 1) * kBucketsPerOctave;
// In a lane: the sum of all values, then the buckets.
inline constexpr std::uint32_t kHistogramCells = 1 + kBuckets;

constexpr std::uint32_t bucket_of(std::uint64_t value) {
  if (value < kBucketsPerOctave) return static_cast<std::uint32_t>(value);
  if (value > kLargestValue) return kBuckets - 1;
  const auto shift = static_cast<std::uint32_t>(std::bit_width(value)) - kBucketsPerOctaveLog2 - 1;
  return shift * kBucketsPerOctave + static_cast<std::uint32_t>(value >> shift);
}

// The lowest value of a bucket.
constexpr std::uint64_t bucket_low(std::uint32_t bucket) {
  if (bucket < 2 * kBucketsPerOctave) return bucket;
  const std::uint32_t shift = bucket / kBucketsPerOctave - 1;
  return std::uint64_t{kBucketsPerOctave + bucket % kBucketsPerOctave} << shift;
}

// The highest value of a bucket, inclusive; the last bucket has no end.
constexpr std::uint64_t bucket_high(std::uint32_t bucket) {
  return bucket + 1 < kBuckets ? bucket_low(bucket + 1) - 1 : ~std::uint64_t{0};
}

// What a value of this bucket is taken for: its middle.
constexpr std::uint64_t bucket_middle(std::uint32_t bucket) {
  const std::uint64_t high = bucket + 1 < kBuckets ? bucket_high(bucket) : kLargestValue;
  return bucket_low(bucket) + (high - bucket_low(bucket)) / 2;
}

static_assert(bucket_of(kLargestValue) == kBuckets - 1);

}  // namespace baton::region
