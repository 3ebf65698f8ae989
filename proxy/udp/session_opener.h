// What a new session needs, or why there is none: a place below max_connections and the cluster's
// limit, and a socket connected to an endpoint. Counts what the rest of a worker counts for
// connections.
//
// max_connections holds exactly over all workers and generations that share the region, without a
// lock: a place in the gauge is taken first, and the sum over all lanes looked at after.
//
// Thread: its worker's. Borrows: everything in Options.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <memory>
#include <string_view>

#include "proxy/config/config.h"
#include "proxy/listener/listener_metrics.h"
#include "proxy/stats/stats_store.h"
#include "proxy/udp/flow_key.h"
#include "proxy/udp/udp_metrics.h"
#include "proxy/upstream/cluster.h"
#include "shared/os/unique_fd.h"

namespace baton::proxy::udp {

class SessionOpener {
 public:
  struct Options {
    const ListenerConfig& config;
    const StatsStore& store;
    region::MetricId active;  // the gauge
    ListenerStats& stats;
    Cluster& cluster;
  };
  struct Opened {
    os::UniqueFd upstream;
    std::shared_ptr<const Endpoint> endpoint;
    CircuitGuard circuit;
  };

  explicit SessionOpener(const Options& options);

  // Success: the session's place in the gauge is taken; give it back with close().
  std::expected<Opened, Dropped> open(const FlowKey& flow);
  void close() { stats_.connections_active.sub(); }

 private:
  bool take_place();
  std::expected<Opened, Dropped> connect(const FlowKey& flow);
  // An invalid one: errno says why.
  os::UniqueFd connect_to(const Endpoint& endpoint);
  void on_shortage(std::string_view what);

  const ListenerConfig& config_;
  const StatsStore& store_;
  const region::MetricId active_;
  ListenerStats& stats_;
  Cluster& cluster_;
  const std::uint64_t fd_ceiling_;  // the first descriptor that is not for clients
  std::chrono::steady_clock::time_point last_logged_;
};

}  // namespace baton::proxy::udp
