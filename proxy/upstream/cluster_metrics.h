// What is counted for each cluster: resolved by name once, then a handle on each worker's lane.
#pragma once

#include <string>

#include "proxy/network/connection.h"
#include "proxy/stats/stats_store.h"

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
};

}  // namespace baton::proxy
