// How many open files a configuration needs before the first client has connected, against the
// limit of the process: better a clear refusal at the start than a proxy that fails one accept in
// two. Thread: any; pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "proxy/config/config.h"

namespace baton::proxy {

// What clients leave to everything else: channels, log, admin clients, and the sockets that pass
// through a process in a reload.
inline constexpr std::uint64_t kFdReserve = 64;

struct FdBudget {
  std::uint64_t listening = 0;  // one a worker and address; a unix socket is shared
  std::uint64_t upstream = 0;   // one connection to each endpoint
  std::uint64_t loops = 0;      // the process itself, and each thread's event loop
  std::uint64_t logs = 0;       // access logs
  std::uint64_t reserve = 0;    // kFdReserve
  std::uint64_t total() const { return listening + upstream + loops + logs + reserve; }
};

FdBudget fd_budget(const Config& config);

// The line for the user when `limit` (RLIMIT_NOFILE) is too low; nothing when it will do.
std::optional<std::string> fd_shortage(const Config& config, std::uint64_t limit);

}  // namespace baton::proxy
