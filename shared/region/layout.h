// The memory of the region, byte by byte. Processes built from different sources map it, so each
// structure is pinned by assertions here and by a test; whoever changes one raises kLayoutVersion.
//
//   header       who may map this, how large each part is, high-water marks, the directory's lock
//   generations  one slot a generation; slot 0 is the supervisor's own
//   entries      directory: which cells a metric has, and who uses it   (guarded by the lock)
//   texts        directory: name, labels and help of each entry         (guarded by the lock)
//   runtime      state that generations share: endpoints' health, rate limits; its own lock
//   lane headers who writes a lane, and which of its pages were ever counted on
//   cells        one array of 64-bit cells a lane
//
// The file is sparse: only pages that were touched cost memory. Reading a hole through a mapping
// allocates it, so readers stay below the high-water marks and skip pages no handle was made for.
// Fields that are not atomic are guarded by the directory's lock, or constant after create().
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "shared/region/metric.h"

namespace baton::region {

inline constexpr std::uint64_t kMagic = 0x314e4752'4e544142;  // "BATNRGN1", little endian
inline constexpr std::uint64_t kLayoutVersion = 2;

inline constexpr std::uint32_t kSlots = 64;  // one bit each in DirectoryEntry::users
inline constexpr std::uint32_t kSupervisorSlot = 0;
inline constexpr std::uint32_t kSupervisorLane = 0;
inline constexpr std::uint32_t kHeldCell = 0;  // of each lane: connections held, a gauge

inline constexpr std::uint32_t kCellsPerPage = 4096 / sizeof(Cell);
inline constexpr std::uint32_t kPageWords = 4;
inline constexpr std::uint32_t kLargestLanes = 1024;
inline constexpr std::uint32_t kLargestCellsPerLane = kPageWords * 64 * kCellsPerPage;
inline constexpr std::uint32_t kLargestEntries = 65536;
inline constexpr std::uint32_t kLargestEndpoints = 65536;
inline constexpr std::uint32_t kBucketsPerGroup = 4;  // one cache line
inline constexpr std::uint32_t kLargestBuckets = 1U << 22;

using Atomic32 = std::atomic<std::uint32_t>;
using Atomic64 = std::atomic<std::uint64_t>;
static_assert(Atomic32::is_always_lock_free && Atomic64::is_always_lock_free);
static_assert(sizeof(Atomic32) == 4 && sizeof(Atomic64) == 8);

// A process-shared robust mutex; see robust_lock.h.
struct LockMemory {
  alignas(64) unsigned char bytes[64];
};

struct Header {
  std::uint64_t magic;
  std::uint64_t layout_version;
  std::uint64_t total_bytes;
  std::uint32_t slots;
  std::uint32_t lanes;
  std::uint32_t cells_per_lane;
  std::uint32_t entries;
  std::uint32_t histogram_cells;
  std::uint32_t lock_bytes;  // sizeof(pthread_mutex_t): differs between C libraries
  std::uint32_t endpoints;
  std::uint32_t buckets;
  std::uint64_t checksum;  // of all of the above: FNV-1a
  // High-water marks: nothing at or above them was ever used.
  Atomic32 entries_used;
  Atomic32 cells_used;
  Atomic32 lanes_used;
  // So many cells and more found no place since metrics were last let go of; 0: there is room.
  // Guarded by the directory's lock; keeps a full region from being searched for each metric.
  Atomic32 full_for_cells;
  LockMemory directory_lock;
};

enum class GenerationState : std::uint32_t {
  Starting = 1,
  Ready = 2,
  Serving = 3,
  Paused = 4,
  Draining = 5,
  Exited = 6,
};

// Written by the supervisor, except the last three counts: by the generation.
struct GenerationSlot {
  Atomic64 id;  // 0: the slot is free
  Atomic32 pid;
  Atomic32 state;
  Atomic64 started_ms;         // Unix time
  Atomic64 drain_deadline_ms;  // Unix time; 0: not draining
  Atomic64 moved_in;
  Atomic64 moved_out;
  Atomic64 metrics_overflowed;  // metrics that did not fit into the region
  std::uint64_t reserved;
  Atomic64 version[8];  // text, zero-padded
};

enum class EntryState : std::uint32_t { Empty = 0, Published = 1 };

// An entry exists once its state says so: the last store of whoever writes it. One without users
// is dead: not exported, its cells may be given to another, but found again while they are not.
struct DirectoryEntry {
  Atomic32 state;
  std::uint32_t hash;           // of name and labels
  Atomic64 users;               // bit i: the process of slot i
  std::uint32_t kind_and_unit;  // MetricKind in the low half, MetricUnit in the high one
  std::uint32_t first_cell;
  std::uint32_t cell_count;
  std::uint32_t reserved;
};

// Each text ends with a zero byte.
struct DirectoryText {
  char name[96];
  char labels[256];
  char help[128];
};

// A lane belongs to one thread. `owner` is 0 while free, else kTaken | slot << 32 | pid.
struct LaneHeader {
  static constexpr std::uint64_t kTaken = std::uint64_t{1} << 63;

  Atomic64 owner;
  Atomic64 index;  // of the thread within its process, for whoever reads a dump
  // Bit i: a handle to a cell of page i was made, ever. Never cleared.
  Atomic64 pages[kPageWords];
  std::uint64_t reserved[2];
};

// The head of the runtime part.
struct RuntimeHeader {
  // Raised after each change of what decides whether an endpoint gets traffic, so that readers may
  // keep what they concluded until then.
  Atomic64 epoch;
  Atomic32 endpoints_used;  // high-water mark
  std::uint32_t reserved;
  LockMemory lock;  // to add endpoints
};

enum class EndpointHealth : std::uint32_t { Unknown = 0, Healthy = 1, Unhealthy = 2 };

// What is known about one endpoint of one cluster. Exists while it has users: bit i, the process of
// slot i. Times are CLOCK_MONOTONIC, the same in all processes of a machine.
struct EndpointSlot {
  Atomic64 users;
  std::uint32_t hash;  // of both texts
  Atomic32 health;     // EndpointHealth: by active checks
  Atomic64 ejected_until_ns;
  Atomic64 available_since_ns;  // new, or healthy again: for slow start
  Atomic32 consecutive_5xx;
  Atomic32 consecutive_connect_failures;
  Atomic32 ejections;  // the back-off
  // How it was found by the generation in charge: priority << 16 | weight; 0: it was not, for it is
  // written down in its configuration, has left the cluster, or is another generation's.
  Atomic32 found;
  // Checks in a row that speak against `health`: how many << 1 | whether they failed; 0: none.
  Atomic32 streak;
  // What `health` was judged by, a hash that is never 0; 0: nobody has said. Older builds leave
  // this and the streak as they find them.
  Atomic32 check;
  std::uint32_t reserved[2];
  char cluster[72];   // zero-terminated, as is
  char address[120];  // the text of a SocketAddress
};

// A token bucket as one time (rate_buckets.h): when it will be full again.
struct RateBucket {
  Atomic64 key;  // 0: never used
  Atomic64 full_at_ns;
};

static_assert(offsetof(Header, slots) == 24 && offsetof(Header, checksum) == 56);
static_assert(offsetof(RuntimeHeader, lock) == 64 && sizeof(RuntimeHeader) == 128);
static_assert(offsetof(EndpointSlot, consecutive_5xx) == 32 &&
              offsetof(EndpointSlot, streak) == 48 && offsetof(EndpointSlot, check) == 52 &&
              offsetof(EndpointSlot, cluster) == 64 && sizeof(EndpointSlot) == 256);
static_assert(sizeof(RateBucket) == 16);
static_assert(offsetof(Header, entries_used) == 64 && offsetof(Header, directory_lock) == 128);
static_assert(sizeof(Header) == 192);
static_assert(offsetof(GenerationSlot, version) == 64 && sizeof(GenerationSlot) == 128);
static_assert(offsetof(DirectoryEntry, users) == 8 && sizeof(DirectoryEntry) == 32);
static_assert(offsetof(DirectoryText, help) == 352 && sizeof(DirectoryText) == 480);
static_assert(offsetof(LaneHeader, pages) == 16 && sizeof(LaneHeader) == 64);
static_assert(std::is_standard_layout_v<Header> && std::is_standard_layout_v<GenerationSlot> &&
              std::is_standard_layout_v<DirectoryEntry> && std::is_standard_layout_v<LaneHeader>);

// How large each part is. Copied out of the header once it has been checked, so that whatever
// happens to the header later cannot lead anyone out of bounds.
struct Geometry {
  // For 64 workers in each of the generations that may run at once by default: one in charge, one
  // that starts, eight that drain, and some at their last call. Unused ones cost nothing.
  std::uint32_t lanes = kLargestLanes;
  std::uint32_t cells_per_lane = kLargestCellsPerLane;
  std::uint32_t entries = 8192;
  std::uint32_t endpoints = 4096;
  std::uint32_t buckets = 65536;

  static constexpr std::size_t page_up(std::size_t bytes) { return (bytes + 4095) / 4096 * 4096; }
  constexpr std::size_t generations_offset() const { return page_up(sizeof(Header)); }
  constexpr std::size_t entries_offset() const {
    return page_up(generations_offset() + kSlots * sizeof(GenerationSlot));
  }
  constexpr std::size_t texts_offset() const {
    return page_up(entries_offset() + std::size_t{entries} * sizeof(DirectoryEntry));
  }
  constexpr std::size_t runtime_offset() const {
    return page_up(texts_offset() + std::size_t{entries} * sizeof(DirectoryText));
  }
  // Of the runtime part alone: its header, endpoints, buckets.
  constexpr std::size_t endpoints_within_runtime() const { return page_up(sizeof(RuntimeHeader)); }
  constexpr std::size_t buckets_within_runtime() const {
    return page_up(endpoints_within_runtime() + std::size_t{endpoints} * sizeof(EndpointSlot));
  }
  constexpr std::size_t runtime_bytes() const {
    return page_up(buckets_within_runtime() + std::size_t{buckets} * sizeof(RateBucket));
  }
  constexpr std::size_t lanes_offset() const { return runtime_offset() + runtime_bytes(); }
  constexpr std::size_t cells_offset() const {
    return page_up(lanes_offset() + std::size_t{lanes} * sizeof(LaneHeader));
  }
  constexpr std::size_t total_bytes() const {
    return cells_offset() + std::size_t{lanes} * cells_per_lane * sizeof(Cell);
  }
  // Within what the structures above can describe; cells in whole pages.
  constexpr bool valid() const {
    return lanes >= 2 && lanes <= kLargestLanes && entries >= 1 && entries <= kLargestEntries &&
           cells_per_lane >= kCellsPerPage && cells_per_lane <= kLargestCellsPerLane &&
           cells_per_lane % kCellsPerPage == 0 && endpoints >= 1 &&
           endpoints <= kLargestEndpoints && buckets >= kBucketsPerGroup &&
           buckets <= kLargestBuckets && (buckets & (buckets - 1)) == 0;
  }
};

// The runtime part, in the region or in the memory of one process. Borrows the mapping.
struct RuntimeMemory {
  RuntimeHeader* header = nullptr;
  EndpointSlot* endpoints = nullptr;
  RateBucket* buckets = nullptr;
  std::uint32_t endpoint_count = 0;
  std::uint32_t bucket_count = 0;  // a power of two

  // `address`: of geometry.runtime_bytes() mapped bytes.
  static RuntimeMemory at(std::byte* address, const Geometry& geometry) {
    return {
        .header = reinterpret_cast<RuntimeHeader*>(address),
        .endpoints = reinterpret_cast<EndpointSlot*>(address + geometry.endpoints_within_runtime()),
        .buckets = reinterpret_cast<RateBucket*>(address + geometry.buckets_within_runtime()),
        .endpoint_count = geometry.endpoints,
        .bucket_count = geometry.buckets};
  }
};

// The parts of one mapping. Borrows the mapping.
struct Memory {
  Header* header = nullptr;
  GenerationSlot* generations = nullptr;
  DirectoryEntry* entries = nullptr;
  DirectoryText* texts = nullptr;
  RuntimeMemory runtime;
  LaneHeader* lanes = nullptr;
  Cell* cells = nullptr;
  Geometry geometry;

  // `address`: of geometry.total_bytes() mapped bytes.
  static Memory at(void* address, const Geometry& geometry) {
    auto* const base = static_cast<std::byte*>(address);
    return {.header = reinterpret_cast<Header*>(base),
            .generations = reinterpret_cast<GenerationSlot*>(base + geometry.generations_offset()),
            .entries = reinterpret_cast<DirectoryEntry*>(base + geometry.entries_offset()),
            .texts = reinterpret_cast<DirectoryText*>(base + geometry.texts_offset()),
            .runtime = RuntimeMemory::at(base + geometry.runtime_offset(), geometry),
            .lanes = reinterpret_cast<LaneHeader*>(base + geometry.lanes_offset()),
            .cells = reinterpret_cast<Cell*>(base + geometry.cells_offset()),
            .geometry = geometry};
  }
  Cell* lane_cells(std::uint32_t lane) const {
    return cells + std::size_t{lane} * geometry.cells_per_lane;
  }
};

}  // namespace baton::region
