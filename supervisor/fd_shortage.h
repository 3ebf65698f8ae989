// Whether this process may open as many files more as a reload takes, against RLIMIT_NOFILE: better
// a clear refusal than a reload that fails somewhere, and a control socket that nobody can accept
// on. Thread: the supervisor's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace baton::supervisor {

// Binary, configuration, process, channels and what passes through while they are made, and a
// few for clients of the control socket. New sockets of the escrow come on top.
inline constexpr std::uint64_t kFdsOfReload = 24;

// The line for the user when `more` are not to be had, even with the soft limit raised; nothing
// when they are.
std::optional<std::string> fd_shortage(std::uint64_t more);

}  // namespace baton::supervisor
