// What root may do and others may not, by the piece: capabilities(7). A thread has its own, and
// hands them on to the threads and programs that it starts. Thread: any; it is about the calling
// one. Source: capget(2), PR_CAPBSET_DROP in prctl(2).
#pragma once

#include <initializer_list>

#include "shared/os/error.h"

namespace baton::os {

// Gives up all capabilities but these (CAP_...), of which it keeps those that it has: permitted,
// effective, inheritable and ambient ones, and in the bounding set, where it may. With
// no_new_privs no program that is run from here on has more, root's neither.
// Error: it has what it had before.
Result<void> keep_capabilities(std::initializer_list<int> kept);

}  // namespace baton::os
