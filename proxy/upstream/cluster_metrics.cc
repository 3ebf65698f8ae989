#include "proxy/upstream/cluster_metrics.h"

#include "shared/region/sample.h"

namespace baton::proxy {

ClusterMetrics ClusterMetrics::resolve(StatsStore& store, const std::string& cluster) {
  using region::MetricKind;
  using region::MetricUnit;
  const auto id = [&](const char* name, const char* help, MetricKind kind, MetricUnit unit) {
    return store.resolve({.name = std::string("baton_upstream_") + name,
                          .labels = region::label("cluster", cluster),
                          .help = help,
                          .kind = kind,
                          .unit = unit});
  };
  return {
      .connections_total = id("connections_total", "Connections established to the cluster.",
                              MetricKind::Counter, MetricUnit::None),
      .connections_active = id("connections_active", "Connections to the cluster open now.",
                               MetricKind::Gauge, MetricUnit::None),
      .connect_failures_total =
          id("connect_failures_total", "Attempts to connect to an endpoint that failed.",
             MetricKind::Counter, MetricUnit::None),
      .connect_timeouts_total =
          id("connect_timeouts_total", "Attempts to connect that failed by timeout.",
             MetricKind::Counter, MetricUnit::None),
      .connect_seconds = id("connect_seconds", "Time it took to connect to an endpoint.",
                            MetricKind::Histogram, MetricUnit::Microseconds),
      .received_bytes_total = id("received_bytes_total", "Bytes received from the cluster.",
                                 MetricKind::Counter, MetricUnit::Bytes),
      .sent_bytes_total = id("sent_bytes_total", "Bytes sent to the cluster.", MetricKind::Counter,
                             MetricUnit::Bytes),
      .none_available_total =
          id("none_available_total", "Connections or requests that found no endpoint available.",
             MetricKind::Counter, MetricUnit::None),
      .ejections_total = id("ejections_total", "Ejections of an endpoint that failed its clients.",
                            MetricKind::Counter, MetricUnit::None),
      .overflow_total = {id("connections_overflow_total",
                            "Connections refused because of max_connections.", MetricKind::Counter,
                            MetricUnit::None),
                         id("pending_requests_overflow_total",
                            "Requests refused because of max_pending_requests.",
                            MetricKind::Counter, MetricUnit::None),
                         id("requests_overflow_total", "Requests refused because of max_requests.",
                            MetricKind::Counter, MetricUnit::None),
                         id("retries_overflow_total", "Retries not made because of max_retries.",
                            MetricKind::Counter, MetricUnit::None)},
      .endpoints = id("endpoints", "Endpoints of the cluster, available or not.", MetricKind::Gauge,
                      MetricUnit::None),
      .endpoints_available = id("endpoints_available", "Endpoints that may get traffic now.",
                                MetricKind::Gauge, MetricUnit::None),
      .endpoints_ejected = id("endpoints_ejected", "Endpoints that are ejected now.",
                              MetricKind::Gauge, MetricUnit::None),
      .health_check_failures_total =
          id("health_check_failures_total", "Health checks of an endpoint that failed.",
             MetricKind::Counter, MetricUnit::None),
      .discovery_failures_total =
          id("discovery_failures_total", "Look-ups and files of endpoints that were of no use.",
             MetricKind::Counter, MetricUnit::None),
  };
}

ClusterStats::ClusterStats(const ClusterMetrics& metrics, StatsLane& lane)
    : connections_total(lane.counter(metrics.connections_total)),
      connections_active(lane.gauge(metrics.connections_active)),
      connect_failures_total(lane.counter(metrics.connect_failures_total)),
      connect_timeouts_total(lane.counter(metrics.connect_timeouts_total)),
      connect_microseconds(lane.histogram(metrics.connect_seconds)),
      bytes{.received = lane.counter(metrics.received_bytes_total),
            .sent = lane.counter(metrics.sent_bytes_total)},
      none_available_total(lane.counter(metrics.none_available_total)),
      ejections_total(lane.counter(metrics.ejections_total)) {
  for (std::size_t i = 0; i < kCircuits; ++i) {
    overflow_total[i] = lane.counter(metrics.overflow_total[i]);
  }
}

}  // namespace baton::proxy
