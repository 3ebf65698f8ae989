// Chance for what has to differ from one run, worker or table to the next: a generator's seed, a
// hash table's key. From getrandom(2), which std::random_device would end at as well, but asks the
// processor first what it is; under a hypervisor each such question is an exit from the guest.
// Thread: any.
#pragma once

#include <cstdint>

namespace baton::os {

std::uint64_t random_seed();

}  // namespace baton::os
