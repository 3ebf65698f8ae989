// What is counted for each listener: resolved by name once, then a handle on each worker's lane.
#pragma once

#include <string>

#include "proxy/network/connection.h"
#include "proxy/stats/stats_store.h"

namespace baton::proxy {

// Thread: main.
struct ListenerMetrics {
  static ListenerMetrics resolve(StatsStore& store, const std::string& listener);

  region::MetricId connections_total;
  region::MetricId connections_active;
  region::MetricId connections_cut_total;
  region::MetricId connections_limited_total;
  region::MetricId accept_errors_total;
  region::MetricId received_bytes_total;
  region::MetricId sent_bytes_total;
  region::MetricId connection_duration_seconds;
};

// Thread: the lane's.
struct ListenerStats {
  ListenerStats(const ListenerMetrics& metrics, StatsLane& lane);

  region::Counter connections_total;  // accepted
  region::Gauge connections_active;
  region::Counter connections_cut_total;
  region::Counter connections_limited_total;  // times that clients began to wait for a place
  region::Counter accept_errors_total;        // times accepting stopped for want of a resource
  ByteCounters bytes;
  region::Histogram duration_microseconds;
  region::Gauge held;  // of all listeners of the lane together
};

}  // namespace baton::proxy
