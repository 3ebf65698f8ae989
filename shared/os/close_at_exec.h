// Leaves a program that takes the place of this one nothing but what it is given.
// Thread: any; also in the child of vfork(2): nothing here allocates.
// Source: close_range(2); CLOSE_RANGE_CLOEXEC is there from Linux 5.11 on.
#pragma once

namespace baton::os {

// Every descriptor from `first` on is closed at the next exec.
void close_all_at_exec(int first);
// The same one by one, for a kernel that cannot do it at once.
void close_each_at_exec(int first);

}  // namespace baton::os
