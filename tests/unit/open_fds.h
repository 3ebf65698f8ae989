// What descriptors this process holds, to see that a test leaves none behind.
#pragma once

#include <filesystem>
#include <set>
#include <string>

namespace baton::test {

// Descriptor numbers now open. The one that lists them is gone by the time this returns.
inline std::set<int> open_fds() {
  std::set<int> fds;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    fds.insert(std::stoi(entry.path().filename().string()));
  }
  std::erase_if(fds, [](int fd) {
    return !std::filesystem::exists(
        std::filesystem::symlink_status("/proc/self/fd/" + std::to_string(fd)));
  });
  return fds;
}

}  // namespace baton::test
