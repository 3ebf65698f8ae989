// Names of what is in the service manager's store.
// Thread: any; pure.
#pragma once

#include <charconv>
#include <optional>
#include <string>
#include <string_view>

#include "supervisor/fd_table.h"

namespace baton::supervisor {

inline constexpr std::string_view kStoredFd = "baton-fd-";
inline constexpr std::string_view kStoredRegion = "baton-region";
inline constexpr std::string_view kStoredState = "baton-state";
inline constexpr std::string_view kStoredCanary = "baton-canary";

inline std::string stored_name(FdIndex index) {
  return std::string(kStoredFd) + std::to_string(index);
}

// Nothing: it is none of stored_name()'s.
inline std::optional<FdIndex> stored_index(std::string_view name) {
  if (!name.starts_with(kStoredFd)) return std::nullopt;
  name.remove_prefix(kStoredFd.size());
  FdIndex index = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), index);
  if (error != std::errc() || end != name.data() + name.size() || index >= kMaxFds) {
    return std::nullopt;
  }
  return index;
}

// Any other name, whatever it begins with, is that of a socket which was passed to be listened on.
inline bool is_stored_name(std::string_view name) {
  return name == kStoredRegion || name == kStoredState || name == kStoredCanary ||
         stored_index(name).has_value();
}

}  // namespace baton::supervisor
