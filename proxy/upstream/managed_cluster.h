// One cluster on the main thread: puts together who its endpoints are, has them checked, and keeps
// what workers see of it up to date.
//
// Thread: main. Owns: what workers share of the cluster, its sources and checkers. Borrows:
// everything in Options. Invariant: a snapshot that workers see is complete; an endpoint that is in
// two snapshots with the same weight is one object.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "proxy/config/config.h"
#include "proxy/stats/stats_store.h"
#include "proxy/upstream/cluster_metrics.h"
#include "proxy/upstream/dns_resolver.h"
#include "proxy/upstream/endpoint_source.h"
#include "proxy/upstream/health_checker.h"
#include "proxy/upstream/shared_cluster.h"
#include "proxy/worker/event_loop.h"

namespace baton::proxy {

class ManagedCluster final : private EndpointSourceSink, private HealthChecker::Sink {
 public:
  struct Options {
    const ClusterConfig& config;
    EventLoop& loop;
    std::span<EventLoop* const> workers;
    SharedState& state;
    const ClusterMetrics& metrics;
    StatsLane& lane;                          // of the main thread
    DnsResolver* dns = nullptr;               // null: no endpoint needs one
    std::function<void()> on_change = [] {};  // warm() may have become true
  };

  explicit ManagedCluster(Options options);
  ~ManagedCluster();
  ManagedCluster(const ManagedCluster&) = delete;
  ManagedCluster& operator=(const ManagedCluster&) = delete;

  const ClusterConfig& config() const { return options_.config; }
  SharedCluster& shared() { return shared_; }

  // Starts discovery, and checks of endpoints whose health nobody knows who checks the same.
  void start();
  // Every source has answered and every endpoint's health is known.
  bool warm() const;
  // Whether this generation checks and reports the cluster's gauges.
  void lead();
  void rest();
  // Ejections and other generations' findings change without a call here.
  void update_gauges();

 private:
  // EndpointSourceSink
  void on_looked() override;
  void on_failure() override { discovery_failures_.add(); }
  // HealthChecker::Sink
  void on_checked(HealthChecker& checker, CheckResult result) override;

  std::shared_ptr<const ClusterMembers> make_members(const ClusterMembers& previous) const;
  void forget_inherited();
  void tell_heirs();
  void publish();
  void watch_health();

  Options options_;
  std::vector<std::unique_ptr<EndpointSource>> sources_;
  std::vector<FoundEndpoint> inherited_;           // while a source knows nothing itself
  std::shared_ptr<const ClusterMembers> members_;  // made of all these
  SharedCluster shared_;
  std::map<std::string, std::unique_ptr<HealthChecker>> checkers_;  // by address
  bool started_ = false;
  enum class Stage : std::uint8_t { Warming, Leading, Resting };
  Stage stage_ = Stage::Warming;
  region::Gauge endpoints_;
  region::Gauge available_;
  region::Gauge ejected_;
  region::Counter check_failures_;
  region::Counter discovery_failures_;
};

}  // namespace baton::proxy
