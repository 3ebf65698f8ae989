// Everything a client's connection consists of besides watchers, timers and filters: what has to
// travel when it moves to another process. Between two callbacks it is complete and consistent.
// Thread: its worker's.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>

#include "proxy/network/buffer.h"
#include "proxy/network/coarse_clock.h"
#include "proxy/network/socket_io.h"
#include "shared/os/socket_address.h"
#include "shared/os/unique_fd.h"

namespace baton::proxy {

struct Endpoint;  // proxy/upstream/endpoint.h

// One of the two sockets. "Ended" is half-close: a direction that will carry no more bytes.
struct LegState {
  os::UniqueFd fd;
  bool read_ended = false;   // the peer's end of stream has been received
  bool end_queued = false;   // an end of stream is to follow `unsent`
  bool write_ended = false;  // ... and has been sent: shutdown(SHUT_WR)
  bool shared = false;       // another process may hold the socket, too: one that hangs
  Buffer unsent;             // to this peer; owns memory only while the kernel takes no more
  CoarseClock::time_point last_activity;  // bytes went either way
  std::uint64_t received_bytes = 0;
  std::uint64_t sent_bytes = 0;

  bool ended() const { return read_ended && write_ended; }
  // Of what is meant for it, what the peer has not got yet. A system call.
  std::uint32_t waiting_bytes() const {
    return static_cast<std::uint32_t>(unsent.size()) + unacknowledged(fd.get());
  }
};

struct UpstreamLeg : LegState {
  UpstreamLeg() = default;
  explicit UpstreamLeg(LegState leg) : LegState(std::move(leg)) {}

  std::shared_ptr<const Endpoint> endpoint;  // where it leads; null until connected
};

struct TunnelState {
  LegState downstream;
  std::unique_ptr<UpstreamLeg> upstream;  // null while there is none: a kept HTTP client costs less
  os::SocketAddress client;               // the real one, whoever the peer of the socket is
  std::chrono::steady_clock::time_point accepted;

  void set_shared() {
    downstream.shared = true;
    if (upstream) upstream->shared = true;
  }
  CoarseClock::time_point last_activity() const {
    if (!upstream) return downstream.last_activity;
    return std::max(downstream.last_activity, upstream->last_activity);
  }
  // Nothing waits here; the kernel may hold something still.
  bool is_whole() const {
    return downstream.unsent.empty() && (!upstream || upstream->unsent.empty());
  }
  std::uint32_t waiting_bytes() const {
    return downstream.waiting_bytes() + (upstream ? upstream->waiting_bytes() : 0);
  }
};

}  // namespace baton::proxy
