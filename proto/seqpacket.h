// One datagram with file descriptors over a SOCK_SEQPACKET socket: the only place that touches
// SCM_RIGHTS. Source: unix(7), cmsg(3).
// Thread: any; stateless.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "shared/os/error.h"
#include "shared/os/unique_fd.h"

namespace baton::proto {

inline constexpr std::size_t kMaxFdsPerMessage = 253;  // SCM_MAX_FD; one more is EINVAL
inline constexpr std::size_t kMaxDatagramBytes = 64 * 1024;
inline constexpr std::size_t kMaxBodyBytes = 16 * 1024 * 1024;  // in memory, beside the datagram

enum class IoStatus { Done, WouldBlock, Closed, Malformed, FdsLost, Failed };

struct Datagram {
  std::string bytes;
  std::vector<os::UniqueFd> fds;
};

// Sends all or nothing and never raises SIGPIPE; the fds stay the caller's.
// Closed: the peer is gone. Failed: errno says why (ETOOMANYREFS, EMSGSIZE, ...).
IoStatus send_datagram(int socket, std::span<const std::byte> bytes, std::span<const int> fds);

// Receives one datagram. Fds arrive CLOEXEC. A truncated one (MSG_TRUNC) is Malformed. FdsLost: the
// bytes are all there, but not every fd (MSG_CTRUNC; there is room for as many as can be sent, so
// this process is out of descriptors), and those that arrived are closed.
// An empty datagram cannot be told from end of file and is Closed.
IoStatus receive_datagram(int socket, Datagram& datagram);

// A connected, non-blocking, CLOEXEC pair.
os::Result<std::pair<os::UniqueFd, os::UniqueFd>> make_pair();

}  // namespace baton::proto
