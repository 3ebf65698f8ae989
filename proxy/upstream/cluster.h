// A cluster as one worker sees it: which endpoint is next, what came of using them. What all
// workers share is in SharedCluster.
//
//   auto circuit = cluster.try_acquire(Circuit::Requests);   refused: overflow, answer at once
//   auto endpoint = cluster.pick({.hash = ...});             null: nobody available, answer at once
//   Connector::start_at(endpoint)                            or a connection that was kept
//   EndpointUse use(*endpoint);                              while the request lives
//   cluster.report(*endpoint, Outcome::...);
//
// Thread: its worker's. Borrows: the shared cluster.
#pragma once

#include <ev++.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "proxy/stats/stats_store.h"
#include "proxy/upstream/available_endpoints.h"
#include "proxy/upstream/circuit_breaker.h"
#include "proxy/upstream/cluster_metrics.h"
#include "proxy/upstream/endpoint.h"
#include "proxy/upstream/load_balancer.h"
#include "proxy/upstream/outlier_detector.h"
#include "proxy/upstream/random_choice.h"
#include "proxy/upstream/shared_cluster.h"

namespace baton::proxy {

// For whom an endpoint is picked.
struct PickFor {
  // Of the client (hash_key.h); absent: ring_hash and maglev choose at random.
  std::optional<std::uint64_t> hash = std::nullopt;
  // Not these again: a retry's.
  std::span<const std::shared_ptr<const Endpoint>> tried = {};
};

class Cluster {
 public:
  Cluster(SharedCluster& shared, std::size_t worker, ClusterStats stats);

  const std::string& name() const { return shared_.config().name; }
  const ClusterConfig& config() const { return shared_.config(); }
  std::chrono::milliseconds connect_timeout() const { return config().connect_timeout; }
  const ClusterStats& stats() const { return stats_; }

  // Null: no endpoint may get this. Known at once, so answer at once. With `tried` never one of
  // these, so who adds each that failed comes to an end.
  std::shared_ptr<const Endpoint> pick(const PickFor& whom);
  // Whether pick() would find one. False is counted.
  bool any_available();
  // Whether pick() looks at a hash.
  bool needs_hash() const { return LoadBalancer::needs_hash(config().lb_policy); }
  // The member with this address, available or not; null: there is none.
  std::shared_ptr<const Endpoint> find(const os::SocketAddress& address) const;

  // An empty guard: refused, and counted as overflow.
  CircuitGuard try_acquire(Circuit circuit);
  // For what exists already, whatever the limit.
  CircuitGuard acquire(Circuit circuit);
  // A place among max_connections; empty: there is none, or others wait for one.
  CircuitGuard try_connect_now();
  // waiter.on_place() when it is its turn; leave_queue() before the waiter goes.
  using Ticket = std::shared_ptr<ConnectionQueue::Ticket>;
  Ticket wait_for_place(ConnectionQueue::Waiter& waiter);
  void leave_queue(ConnectionQueue::Ticket& ticket) { shared_.queue().leave(ticket); }
  // Of all workers.
  std::uint32_t in_use(Circuit circuit) const;
  // For a connection between two uses: it leaves its place to one that is needed.
  CircuitGuard acquire_idle();
  bool too_many_open() const;
  // For outlier detection: each connection or request once, when it is known what came of it.
  void report(const Endpoint& endpoint, Outcome outcome);

 private:
  const std::shared_ptr<const ClusterMembers>& members() const {
    return shared_.members().get(worker_);
  }
  std::shared_ptr<const Endpoint> pick_other(const PickFor& whom);

  SharedCluster& shared_;
  std::size_t worker_;
  AvailableEndpoints available_;
  std::unique_ptr<LoadBalancer> load_balancer_;
  RandomChoice random_;
  ClusterStats stats_;
};

}  // namespace baton::proxy
