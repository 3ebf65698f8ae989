// Every descriptor that belongs to the supervisor's state, by a small index, so that the state
// itself is plain values that can be written down and read back.
// Thread: the supervisor's. Owns: the descriptors.
#pragma once

#include <cstdint>
#include <vector>

#include "shared/os/check.h"
#include "shared/os/unique_fd.h"

namespace baton::supervisor {

using FdIndex = std::uint32_t;
inline constexpr FdIndex kNoFd = ~FdIndex{0};
inline constexpr FdIndex kMaxFds = 1U << 20;  // no process has more

class FdTable {
 public:
  // The index stays valid until close(), and is then used again.
  FdIndex add(os::UniqueFd fd) {
    for (FdIndex index = 0; index < fds_.size(); ++index) {
      if (fds_[index]) continue;
      fds_[index] = std::move(fd);
      return index;
    }
    fds_.push_back(std::move(fd));
    return static_cast<FdIndex>(fds_.size() - 1);
  }
  // Restores a descriptor under the index it had; what was there is closed.
  void put(FdIndex index, os::UniqueFd fd) {
    if (index >= fds_.size()) fds_.resize(index + 1);
    fds_[index] = std::move(fd);
  }
  bool has(FdIndex index) const { return index < fds_.size() && fds_[index].valid(); }
  // Calls `visit(index, fd)` for each, in order of the index.
  template <class Visit>
  void for_each(Visit visit) const {
    for (FdIndex index = 0; index < fds_.size(); ++index) {
      if (fds_[index]) visit(index, fds_[index].get());
    }
  }
  // Borrowed; -1 for kNoFd.
  int get(FdIndex index) const {
    if (index == kNoFd) return -1;
    BATON_CHECK(index < fds_.size() && fds_[index].valid());
    return fds_[index].get();
  }
  os::UniqueFd take(FdIndex index) {
    BATON_CHECK(has(index));
    return std::move(fds_[index]);
  }
  // kNoFd: nothing to do.
  void close(FdIndex index) {
    if (index == kNoFd) return;
    BATON_CHECK(index < fds_.size() && fds_[index].valid());
    fds_[index].reset();
  }

 private:
  std::vector<os::UniqueFd> fds_;
};

}  // namespace baton::supervisor
