// Opens a connection to a cluster: to the endpoint whose turn it is and, when that fails, to the
// ones after it, each at most once. A shortage on this side (descriptors, local ports, the queue of
// a unix socket) is no fault of the endpoint: the attempt is repeated until it times out.
//
//   start ─► attempt ─ in progress ─► waiting ─ writable ─► connected
//              │ ▲ └─ shortage ─► pausing ─┐      │ error, timeout
//              │ └──────── timer ──────────┘      ▼
//              └─ error ────────────────────► next endpoint, or exhausted
//
// Thread: its worker's. Owns: the socket until it is connected. Borrows: cluster, sink.
#pragma once

#include <ev++.h>

#include <chrono>
#include <cstddef>
#include <memory>

#include "proxy/upstream/cluster.h"
#include "shared/os/unique_fd.h"

namespace baton::proxy {

class Connector {
 public:
  class Sink {
   public:
    // Either may be called from within start(), and may destroy the connector.
    virtual void on_connected(os::UniqueFd socket, std::shared_ptr<const Endpoint> endpoint) = 0;
    virtual void on_exhausted() = 0;

   protected:
    ~Sink() = default;
  };

  Connector(ev::loop_ref loop, Cluster& cluster, Sink& sink);
  Connector(const Connector&) = delete;
  Connector& operator=(const Connector&) = delete;

  void start();

 private:
  enum class Attempt { Connected, InProgress, Shortage, Failed };

  // Return what to do next; only proceed() tells the sink, and nothing is touched after it.
  Attempt attempt();
  void proceed(Attempt outcome);
  bool next_endpoint();
  void await_retry();
  void on_writable(ev::io& watcher, int events);
  void on_timer(ev::timer& watcher, int events);
  const std::shared_ptr<const Endpoint>& endpoint() const { return members_->endpoints[current_]; }

  Cluster& cluster_;
  Sink& sink_;
  std::shared_ptr<const ClusterMembers> members_;  // one snapshot for all attempts
  std::size_t current_ = 0;
  std::size_t tried_ = 0;
  std::chrono::steady_clock::time_point begun_;  // the attempt at current_
  os::UniqueFd socket_;
  ev::io writable_;
  ev::timer timer_;
  bool pausing_ = false;
};

}  // namespace baton::proxy
