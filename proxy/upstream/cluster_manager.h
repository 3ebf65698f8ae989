// All clusters of a generation as its main thread keeps them: who their endpoints are (static, from
// DNS, from a watched file), whether they are healthy, and what workers see of that.
//
//   construct ── warm_up() ──► warm ── lead() ──► in charge ── rest() ──► resting ─┐
//                                        ▲             (checks run)                │
//                                        └─────────────────────────────────────────┘
//
// Health is in the region, so one generation checks for all: the one in charge. One that warms up
// takes over what is known there, and tries only those nobody has tried, or not with the checks
// that it has itself. Discovery goes on until the end: connections that drain need endpoints, too.
//
// Thread: main. Owns: members, circuit breakers, watchers. Borrows: everything in Options.
// Outlives the workers, not their loops.
#pragma once

#include <functional>
#include <memory>
#include <span>

#include "proxy/config/config.h"
#include "proxy/stats/stats_store.h"
#include "proxy/upstream/cluster_metrics.h"
#include "proxy/upstream/shared_cluster.h"
#include "proxy/upstream/shared_state.h"
#include "proxy/worker/event_loop.h"

namespace baton::proxy {

class ClusterManager {
 public:
  struct Options {
    EventLoop* main_loop = nullptr;
    const Config* config = nullptr;
    StatsStore* stats = nullptr;
    std::span<EventLoop* const> workers = {};
  };

  explicit ClusterManager(const Options& options);
  ~ClusterManager();
  ClusterManager(const ClusterManager&) = delete;
  ClusterManager& operator=(const ClusterManager&) = delete;

  // In the order of the configuration.
  std::size_t size() const;
  SharedCluster& cluster(std::size_t index);
  const ClusterMetrics& metrics(std::size_t index) const;
  // Health and rate limits, shared with other generations.
  SharedState& shared();

  // Looks everybody up and tries those whose health nobody knows. `done`: all have answered, or the
  // configuration's warm_time has passed; at once when there is nothing to wait for.
  void warm_up(std::function<void()> done);
  // There is no time for that, now or when warm_up() comes.
  void hurry();
  // This generation is in charge: it checks, and shows how many endpoints there are.
  void lead();
  void rest();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace baton::proxy
