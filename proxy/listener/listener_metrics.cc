#include "proxy/listener/listener_metrics.h"

#include "shared/region/sample.h"

namespace baton::proxy {

ListenerMetrics ListenerMetrics::resolve(StatsStore& store, const std::string& listener) {
  using region::MetricKind;
  using region::MetricUnit;
  const auto id = [&](const char* name, const char* help, MetricKind kind, MetricUnit unit) {
    return store.resolve({.name = std::string("baton_listener_") + name,
                          .labels = region::label("listener", listener),
                          .help = help,
                          .kind = kind,
                          .unit = unit});
  };
  return {
      .connections_total =
          id("connections_total", "Connections accepted.", MetricKind::Counter, MetricUnit::None),
      .connections_active =
          id("connections_active", "Connections open now.", MetricKind::Gauge, MetricUnit::None),
      .connections_cut_total = id("connections_cut_total", "Connections cut at a drain deadline.",
                                  MetricKind::Counter, MetricUnit::None),
      .connections_limited_total =
          id("connections_limited_total",
             "Times that clients had to wait for a place because of max_connections.",
             MetricKind::Counter, MetricUnit::None),
      .accept_errors_total =
          id("accept_errors_total", "Times accepting stopped for want of descriptors or memory.",
             MetricKind::Counter, MetricUnit::None),
      .received_bytes_total = id("received_bytes_total", "Bytes received from clients.",
                                 MetricKind::Counter, MetricUnit::Bytes),
      .sent_bytes_total =
          id("sent_bytes_total", "Bytes sent to clients.", MetricKind::Counter, MetricUnit::Bytes),
      .connection_duration_seconds =
          id("connection_duration_seconds", "How long connections lasted.", MetricKind::Histogram,
             MetricUnit::Microseconds),
  };
}

ListenerStats::ListenerStats(const ListenerMetrics& metrics, StatsLane& lane)
    : connections_total(lane.counter(metrics.connections_total)),
      connections_active(lane.gauge(metrics.connections_active)),
      connections_cut_total(lane.counter(metrics.connections_cut_total)),
      connections_limited_total(lane.counter(metrics.connections_limited_total)),
      accept_errors_total(lane.counter(metrics.accept_errors_total)),
      bytes{.received = lane.counter(metrics.received_bytes_total),
            .sent = lane.counter(metrics.sent_bytes_total)},
      duration_microseconds(lane.histogram(metrics.connection_duration_seconds)),
      held(lane.held()) {}

}  // namespace baton::proxy
