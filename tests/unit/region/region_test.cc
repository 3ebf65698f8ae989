#include "shared/region/region.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/unit/region/child.h"
#include "tests/unit/region/fixture.h"

namespace baton::region {
namespace {

using namespace std::chrono_literals;

// The region's memory as a wild store of some process sees it.
class RawMemory {
 public:
  explicit RawMemory(const Region& region, const Geometry& geometry = kSmall)
      : address_(::mmap(nullptr, geometry.total_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED,
                        region.fd(), 0)),
        geometry_(geometry) {
    REQUIRE(address_ != MAP_FAILED);
  }
  ~RawMemory() { ::munmap(address_, geometry_.total_bytes()); }

  Memory parts() const { return Memory::at(address_, geometry_); }
  unsigned char* bytes() const { return static_cast<unsigned char*>(address_); }

 private:
  void* address_;
  Geometry geometry_;
};

// No metric shares a cell with another.
void check_no_overlap(Region& region) {
  std::set<std::uint32_t> taken;
  REQUIRE(region.directory()
              .visit([&](const DirectoryView& view) {
                for (std::uint32_t i = 0; i < view.cell_count; ++i) {
                  CHECK(taken.insert(view.first_cell + i).second);
                }
              })
              .has_value());
}

TEST_CASE("region: the layout is what other builds expect") {
  // Changing any of these numbers means raising kLayoutVersion; but for how many there are of each
  // thing, which whoever maps it reads in the header.
  CHECK(kLayoutVersion == 2);
  CHECK(kMagic == 0x314e47524e544142);
  const Geometry geometry;
  CHECK(geometry.generations_offset() == 4096);
  CHECK(geometry.entries_offset() == 12288);
  CHECK(geometry.texts_offset() == 274432);
  CHECK(geometry.runtime_offset() == 4206592);
  CHECK(geometry.endpoints_within_runtime() == 4096);
  CHECK(geometry.buckets_within_runtime() == 1052672);
  CHECK(geometry.lanes_offset() == 6307840);
  CHECK(geometry.cells_offset() == 6373376);
  CHECK(geometry.total_bytes() == 1080115200);
  CHECK(kHistogramCells == 321);
  CHECK(sizeof(pthread_mutex_t) == 40);

  const auto region = make_region();
  const RawMemory raw(*region);
  CHECK(std::memcmp(raw.bytes(), "BATNRGN1", 8) == 0);
  const DirectoryEntry& held = raw.parts().entries[0];
  CHECK(held.state.load() == 1);
  CHECK(held.kind_and_unit == 2);
  CHECK(held.first_cell == kHeldCell);
  CHECK(held.users.load() == 1);
  CHECK(raw.parts().texts[0].name == std::string("baton_connections_held"));
}

TEST_CASE("region: it is sealed against resizing") {
  const auto region = make_region();
  CHECK(::ftruncate(region->fd(), 4096) != 0);
  CHECK(::ftruncate(region->fd(), 1 << 30) != 0);
}

TEST_CASE("region: sizes out of range are refused") {
  for (const Geometry& geometry :
       {Geometry{.lanes = 1}, Geometry{.lanes = kLargestLanes + 1}, Geometry{.cells_per_lane = 100},
        Geometry{.cells_per_lane = kLargestCellsPerLane * 2}, Geometry{.entries = 0},
        Geometry{.entries = kLargestEntries + 1}, Geometry{.endpoints = 0},
        Geometry{.endpoints = kLargestEndpoints + 1}, Geometry{.buckets = 2},
        Geometry{.buckets = 48}, Geometry{.buckets = kLargestBuckets * 2}}) {
    CHECK_FALSE(Region::create({.geometry = geometry}).has_value());
  }
}

TEST_CASE("attach: another layout is refused in plain words") {
  const auto region = make_region();
  const auto attached = Region::attach(duplicate(region->fd()), {.layout = kLayoutVersion + 1});
  REQUIRE_FALSE(attached.has_value());
  CHECK(attached.error().text() == "region has layout 2, this program uses 3");

  const auto next = Region::create({.layout = 3, .geometry = kSmall});
  REQUIRE(next.has_value());
  CHECK(Region::attach(duplicate((*next)->fd()), {.layout = 3}).has_value());
}

TEST_CASE("attach: what is no region is refused") {
  const std::string page(4096, 'x');
  const auto memfd = [](std::size_t bytes, int seals) {
    os::UniqueFd fd(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    REQUIRE(::ftruncate(fd.get(), static_cast<off_t>(bytes)) == 0);
    if (seals != 0) REQUIRE(::fcntl(fd.get(), F_ADD_SEALS, seals) == 0);
    return fd;
  };
  constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
  CHECK_FALSE(Region::attach(os::UniqueFd()).has_value());
  CHECK_FALSE(Region::attach(os::UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC))).has_value());
  CHECK_FALSE(Region::attach(memfd(0, kSeals)).has_value());
  CHECK_FALSE(Region::attach(memfd(10, kSeals)).has_value());
  CHECK_FALSE(Region::attach(memfd(1 << 20, kSeals)).has_value());

  // A true copy, but one that could be truncated under the reader.
  const auto region = make_region();
  const RawMemory raw(*region);
  const auto unsealed = memfd(kSmall.total_bytes(), 0);
  for (const std::size_t offset : {std::size_t{0}, kSmall.runtime_offset()}) {  // where locks are
    REQUIRE(::pwrite(unsealed.get(), raw.bytes() + offset, 4096, static_cast<off_t>(offset)) ==
            4096);
  }
  CHECK_FALSE(Region::attach(duplicate(unsealed.get())).has_value());
  REQUIRE(::fcntl(unsealed.get(), F_ADD_SEALS, kSeals) == 0);
  CHECK(Region::attach(duplicate(unsealed.get())).has_value());
}

TEST_CASE("attach: each damaged constant of the header is refused") {
  const auto region = make_region();
  const RawMemory raw(*region);
  for (std::size_t offset = 0; offset < offsetof(Header, entries_used); ++offset) {
    for (const unsigned char mask : {0x01, 0x80, 0xff}) {
      CAPTURE(offset);
      raw.bytes()[offset] ^= mask;
      CHECK_FALSE(Region::attach(duplicate(region->fd())).has_value());
      raw.bytes()[offset] ^= mask;
    }
  }
  CHECK(Region::attach(duplicate(region->fd())).has_value());
}

TEST_CASE("attach: a lock that is none is refused") {
  const auto region = make_region();
  const RawMemory raw(*region);
  std::memset(&raw.parts().header->directory_lock, 0xff, sizeof(LockMemory));
  CHECK_FALSE(Region::attach(duplicate(region->fd())).has_value());

  const auto other = make_region();
  const RawMemory other_raw(*other);
  std::memset(&other_raw.parts().runtime.header->lock, 0xff, sizeof(LockMemory));
  CHECK_FALSE(Region::attach(duplicate(other->fd())).has_value());
}

TEST_CASE("region: whatever the directory and the marks hold, nobody leaves their bounds") {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    const auto region = make_region();
    for (int i = 0; i < 20; ++i) cell_of(*region, counter("c" + std::to_string(i)), 1);
    cell_of(*region, histogram("seconds"), 1);
    const RawMemory raw(*region);
    // Marks, generations, entries, texts, lane headers.
    for (int flips = 0; flips < 60; ++flips) {
      const std::size_t parts[][2] = {
          {offsetof(Header, entries_used), 12},
          {kSmall.generations_offset(), kSlots * sizeof(GenerationSlot)},
          {kSmall.entries_offset(), 24 * sizeof(DirectoryEntry)},
          {kSmall.texts_offset(), 24 * sizeof(DirectoryText)},
          {kSmall.runtime_offset(), offsetof(RuntimeHeader, lock)},
          {kSmall.runtime_offset() + kSmall.endpoints_within_runtime(), 8 * sizeof(EndpointSlot)},
          {kSmall.lanes_offset(), kSmall.lanes * sizeof(LaneHeader)}};
      const auto& [offset, length] = parts[random() % 7];
      raw.bytes()[offset + random() % length] = static_cast<unsigned char>(random());
    }
    CHECK(snapshot(*region).has_value());
    for (int i = 0; i < 30; ++i) {
      static_cast<void>(region->directory().find_or_add(counter("n" + std::to_string(i)), 2));
    }
    static_cast<void>(region->directory().find_or_add(histogram("more_seconds"), 2));
    static_cast<void>(region->generations().all());
    static_cast<void>(region->endpoints().find_or_add("db", "10.0.0.1:80", 2));
    static_cast<void>(region->claim_lane(2, 0));
    CHECK(region->forget(1).has_value());
    CHECK(snapshot(*region).has_value());
  }
}

TEST_CASE("region: a process killed in the middle of appending leaves no trace") {
  const auto region = make_region();
  cell_of(*region, counter("before_total"), 1);
  const RawMemory raw(*region);
  Child child([&](auto reached) {
    RobustLock lock(&raw.parts().header->directory_lock, RobustLock::WhenUnrecoverable::Fail);
    const auto guard = lock.acquire(1s, [] {});
    // As far as one can get before the last store: marks raised, half of an entry written.
    raw.parts().header->entries_used.store(3);
    raw.parts().header->cells_used.store(2 + kHistogramCells);
    std::memset(raw.parts().texts[2].name, 'x', sizeof(DirectoryText::name));
    raw.parts().entries[2].users.store(~std::uint64_t{0});
    raw.parts().entries[2].cell_count = kHistogramCells;
    reached();
    wait_to_be_killed();
  });
  child.wait_until_reached();
  child.kill();
  CHECK(exported(*region, "before_total") == 0);
  CHECK(cell_of(*region, counter("after_total"), 1) == 2);
  CHECK(snapshot(*region)->size() == 4);  // with the two that are always there
  check_no_overlap(*region);
}

TEST_CASE("region: a damaged entry of a process that died with the lock is removed") {
  const auto region = make_region();
  cell_of(*region, counter("damaged_total"), 1);
  cell_of(*region, counter("sound_total"), 1);
  const RawMemory raw(*region);
  Child child([&](auto reached) {
    RobustLock lock(&raw.parts().header->directory_lock, RobustLock::WhenUnrecoverable::Fail);
    const auto guard = lock.acquire(1s, [] {});
    raw.parts().entries[1].first_cell = 0xfffffff0;
    reached();
    wait_to_be_killed();
  });
  child.wait_until_reached();
  child.kill();
  CHECK(exported(*region, "damaged_total") == -1);
  CHECK(exported(*region, "sound_total") == 0);
  CHECK(raw.parts().entries[1].state.load() == 0);
}

TEST_CASE("region: processes killed anywhere in their work on the directory are recovered from") {
  const auto region = make_region({.lanes = 8, .cells_per_lane = 1024, .entries = 32});
  const std::uint32_t cell = cell_of(*region, counter("kept_total"), 2);
  const Lane lane = lane_of(*region, 2);
  std::mt19937 random(3);
  for (int round = 1; round <= 150; ++round) {
    Child child([&](auto reached) {
      const auto own = Region::attach(duplicate(region->fd()));
      reached();
      for (std::uint32_t i = 0;; ++i) {
        auto metric = i % 5 == 0 ? histogram("h") : counter("c");
        metric.labels = label("i", std::to_string(i % 37));
        static_cast<void>((*own)->directory().find_or_add(metric, 1));
        if (i % 9 == 0) static_cast<void>((*own)->directory().release_user(1));
        const auto claimed = (*own)->claim_lane(1, 0);
      }
    });
    child.wait_until_reached();
    // Any moment is the right one; how many rounds of snapshots only varies it.
    for (std::uint32_t i = random() % 20; i > 0; --i) CHECK(snapshot(*region).has_value());
    child.kill();
    lane.counter(cell).add();
    REQUIRE(region->forget(1).has_value());
    CHECK(exported(*region, "kept_total") == round);
    check_no_overlap(*region);
    CHECK(snapshot(*region)->size() == 3);
    CHECK(lane_of(*region, 1).number() == 2);
  }
}

}  // namespace
}  // namespace baton::region
