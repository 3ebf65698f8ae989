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
  };
}

ClusterStats::ClusterStats(const ClusterMetrics& metrics, StatsLane& lane)
    : connections_total(lane.counter(metrics.connections_total)),
      connections_active(lane.gauge(metrics.connections_active)),
      connect_failures_total(lane.counter(metrics.connect_failures_total)),
      connect_timeouts_total(lane.counter(metrics.connect_timeouts_total)),
      connect_microseconds(lane.histogram(metrics.connect_seconds)),
      bytes{.received = lane.counter(metrics.received_bytes_total),
            .sent = lane.counter(metrics.sent_bytes_total)} {}

}  // namespace baton::proxy
