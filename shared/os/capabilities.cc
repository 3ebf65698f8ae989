#include "shared/os/capabilities.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

namespace baton::os {
namespace {

// Takes CAP_SETPCAP: it comes first, and who does not have that keeps its bounding set.
void bound(std::initializer_list<int> kept) {
  for (int number = 0; ::prctl(PR_CAPBSET_READ, number, 0, 0, 0) >= 0; ++number) {
    if (std::ranges::find(kept, number) == kept.end()) {
      ::prctl(PR_CAPBSET_DROP, number, 0, 0, 0);
    }
  }
}

}  // namespace

Result<void> keep_capabilities(std::initializer_list<int> kept) {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {};
  if (::syscall(SYS_capget, &header, sets) != 0) return errno_error("capget");
  bound(kept);
  bool all_kept = true;
  for (int word = 0; word < _LINUX_CAPABILITY_U32S_3; ++word) {
    __u32 mask = 0;
    for (const int number : kept) {
      if (CAP_TO_INDEX(number) == word) mask |= CAP_TO_MASK(number);
    }
    auto& [effective, permitted, inheritable] = sets[word];
    all_kept = all_kept && ((effective | permitted | inheritable) & ~mask) == 0;
    effective &= mask;
    permitted &= mask;
    inheritable &= mask;  // an ambient one goes with it
  }
  // Where nothing is given up, a filter that forbids the call does not matter.
  if (all_kept || ::syscall(SYS_capset, &header, sets) == 0) return {};
  return errno_error("capset");
}

}  // namespace baton::os
