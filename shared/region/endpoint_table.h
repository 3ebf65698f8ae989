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
#include <string>
#include <string_view>
#include <vector>

#include "shared/os/error.h"
#include "shared/region/layout.h"
#include "shared/region/robust_lock.h"

namespace baton::region {

class EndpointTable {
 public:
  EndpointTable(const RuntimeMemory& memory, RobustLock* lock) : memory_(memory), lock_(lock) {}

  // The entry of this endpoint, new or not, now used by `slot` too. Stays where it is until that
  // slot's use ends. Errors: the table is full; a text is too long; no lock within a second.
  os::Result<EndpointSlot*> find_or_add(std::string_view cluster, std::string_view address,
                                        std::uint32_t slot);
  // The addresses of a cluster that some process other than `slot`'s uses now. Error: no lock.
  os::Result<std::vector<std::string>> addresses_of(std::string_view cluster, std::uint32_t slot);
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
