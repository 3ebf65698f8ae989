// Opens a connection to a cluster: to the endpoint that is picked and, when that fails, to others
// that are available, each at most once; or to a given endpoint and no other, for those who decide
// by themselves what comes next. A shortage on this side (descriptors, local ports, the queue of a
// unix socket) is no fault of the endpoint: the attempt is repeated until it times out.
//
//   start ─► attempt ─ in progress ─► waiting ─ writable ─► connected
//              │ ▲ └─ shortage ─► pausing ─┐      │ error, timeout
//              │ └──────── timer ──────────┘      ▼
//              └─ error ────────────────────► next endpoint, or exhausted
//
// Each failure is reported to outlier detection, and so is success.
// Thread: its worker's. Owns: the socket until it is connected. Borrows: cluster, sink.
#pragma once

#include <ev++.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "proxy/upstream/cluster.h"
#include "shared/os/unique_fd.h"

namespace baton::proxy {

class Connector {
 public:
  class Sink {
   public:
    // Either may be called from within start() or start_at(), and may destroy the connector.
    // Exhausted: no endpoint is available, or none that was could be reached.
    virtual void on_connected(os::UniqueFd socket, std::shared_ptr<const Endpoint> endpoint) = 0;
    virtual void on_exhausted() = 0;

   protected:
    ~Sink() = default;
  };

  // `limit`: for the attempt at each endpoint, where it is shorter than the cluster's.
  Connector(ev::loop_ref loop, Cluster& cluster, Sink& sink,
            std::optional<std::chrono::milliseconds> limit = std::nullopt);
  Connector(const Connector&) = delete;
  Connector& operator=(const Connector&) = delete;

  // `hash`: of the client, for policies that place clients.
  void start(std::optional<std::uint64_t> hash = std::nullopt);
  // To this endpoint, which was picked before, and to no other.
  void start_at(std::shared_ptr<const Endpoint> endpoint);

  // Whoever waits has run out of time: the endpoint that keeps it waiting counts as unreachable.
  // Destroy the connector next; the sink hears nothing.
  void give_up();
  // The connection is made, or has failed: only the loop has not told yet. A system call.
  bool is_ready() const;
  // The one whose turn it is. Null: once the sink has heard.
  const std::shared_ptr<const Endpoint>& endpoint() const { return endpoint_; }
  // Those that could not be reached, so far.
  std::span<const std::shared_ptr<const Endpoint>> failed() const { return failed_; }

 private:
  enum class Attempt { Connected, InProgress, Shortage, Failed };

  // Return what to do next; only proceed() tells the sink, and nothing is touched after it.
  Attempt attempt();
  Attempt failed_attempt(int error) const;
  void proceed(Attempt outcome);
  void report_failure();
  bool next_endpoint();
  void await_retry();
  void on_writable(ev::io& watcher, int events);
  void on_timer(ev::timer& watcher, int events);

  Cluster& cluster_;
  Sink& sink_;
  std::chrono::milliseconds timeout_;  // of each attempt
  std::optional<std::uint64_t> hash_;
  bool tries_others_ = false;
  std::shared_ptr<const Endpoint> endpoint_;  // the attempt's
  std::vector<std::shared_ptr<const Endpoint>> failed_;
  std::chrono::steady_clock::time_point begun_;  // the attempt
  os::UniqueFd socket_;
  ev::io writable_;
  ev::timer timer_;
  bool pausing_ = false;
};

}  // namespace baton::proxy
