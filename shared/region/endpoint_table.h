// What all generations know about each endpoint of each cluster: its health by active checks, and
// its ejection. A new generation starts with what the old one has learned.
//
// Entries are found by (cluster, address) under the runtime part's lock; everything else about them
// is atomics, read and written without it. An entry exists while a process uses it. One without
// users is free and forgets what it knew: nobody has checked it since.
//
// Thread: any, of any process. Borrows: the memory, the lock.
// Invariant: an entry is published by one store, its users, the last one; so a process that dies
// while adding leaves nothing to repair.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "shared/os/error.h"
#include "shared/region/layout.h"
#include "shared/region/robust_lock.h"

namespace baton::region {

struct FoundShare {
  std::uint16_t weight = 1;  // 1 or more
  std::uint16_t priority = 0;
  friend bool operator==(const FoundShare&, const FoundShare&) = default;
};
using FoundByAddress = std::map<std::string, FoundShare, std::less<>>;

class EndpointTable {
 public:
  EndpointTable(const RuntimeMemory& memory, RobustLock* lock) : memory_(memory), lock_(lock) {}

  // The entry of this endpoint, new or not, now used by `slot` too. Stays where it is until that
  // slot's use ends. Errors: the table is full; a text is too long; no lock within a second.
  os::Result<EndpointSlot*> find_or_add(std::string_view cluster, std::string_view address,
                                        std::uint32_t slot);
  // What the generation in charge has found of a cluster, by a name or in a file, in place of what
  // it said before, or the one before it did. Error: no lock.
  os::Result<void> set_found(std::string_view cluster, const FoundByAddress& found);
  // What it has said, of what some process other than `slot`'s uses now. Error: no lock.
  os::Result<FoundByAddress> found_of(std::string_view cluster, std::uint32_t slot);
  // One entry is not used by `slot` any more / the process of `slot` has ended. No lock needed.
  void release(EndpointSlot& entry, std::uint32_t slot);
  void release_user(std::uint32_t slot);

  // Changes whenever an endpoint's health or ejection may have: announce() is the writer's duty.
  std::uint64_t epoch() const { return memory_.header->epoch.load(std::memory_order_acquire); }
  void announce() { memory_.header->epoch.fetch_add(1, std::memory_order_release); }

 private:
  std::uint32_t used() const;
  bool is(std::uint32_t index, std::uint32_t hash, std::string_view cluster,
          std::string_view address) const;

  RuntimeMemory memory_;
  RobustLock* lock_;
};

}  // namespace baton::region
