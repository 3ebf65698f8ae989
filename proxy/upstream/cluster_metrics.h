// What is counted for each cluster: resolved by name once, then a handle on each worker's lane.
#pragma once

#include <array>
#include <string>

#include "proxy/network/connection.h"
#include "proxy/stats/stats_store.h"
#include "proxy/upstream/circuit_breaker.h"

namespace baton::proxy {

// Thread: main.
struct ClusterMetrics {
  static ClusterMetrics resolve(StatsStore& store, const std::string& cluster);

  region::MetricId connections_total;
  region::MetricId connections_active;
  region::MetricId connect_failures_total;
  region::MetricId connect_timeouts_total;
  region::MetricId connect_seconds;
  region::MetricId received_bytes_total;
  region::MetricId sent_bytes_total;
  region::MetricId none_available_total;
  region::MetricId ejections_total;
  region::MetricId overflow_total[kCircuits];
  // The main thread's.
  region::MetricId endpoints;
  region::MetricId endpoints_available;
  region::MetricId endpoints_ejected;
  region::MetricId health_check_failures_total;
  region::MetricId discovery_failures_total;
};

// Thread: the lane's.
struct ClusterStats {
  ClusterStats(const ClusterMetrics& metrics, StatsLane& lane);

  region::Counter connections_total;  // established
  region::Gauge connections_active;
  region::Counter connect_failures_total;  // attempts; those that timed out are among them
  region::Counter connect_timeouts_total;
  region::Histogram connect_microseconds;
  ByteCounters bytes;
  region::Counter none_available_total;
  region::Counter ejections_total;
  std::array<region::Counter, kCircuits> overflow_total;  // by Circuit
};

}  // namespace baton::proxy
