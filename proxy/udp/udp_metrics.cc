#include "proxy/udp/udp_metrics.h"

#include <string_view>
#include <utility>

#include "shared/region/sample.h"

namespace baton::proxy::udp {
namespace {

constexpr std::array<std::string_view, kDroppedReasons> kReasons{
    "max_connections", "circuit_breaker", "no_endpoint",  "shortage",
    "to_upstream",     "to_client",       "receive_queue"};

}  // namespace

UdpMetrics UdpMetrics::resolve(StatsStore& store, const std::string& listener) {
  const auto id = [&](const char* name, const char* help, const std::string& more_labels = {}) {
    return store.resolve({.name = std::string("baton_udp_datagrams_") + name,
                          .labels = region::label("listener", listener) + more_labels,
                          .help = help,
                          .kind = region::MetricKind::Counter});
  };
  UdpMetrics metrics{
      .received_total = id("received_total", "Datagrams received from clients."),
      .sent_total = id("sent_total", "Datagrams sent to clients."),
  };
  for (std::size_t i = 0; i < kDroppedReasons; ++i) {
    metrics.dropped_total[i] = id("dropped_total", "Datagrams that went no further.",
                                  "," + region::label("reason", kReasons[i]));
  }
  return metrics;
}

namespace {

template <std::size_t... I>
std::array<region::Counter, kDroppedReasons> counters(
    const std::array<region::MetricId, kDroppedReasons>& ids, StatsLane& lane,
    std::index_sequence<I...>) {
  return {lane.counter(ids[I])...};
}

}  // namespace

UdpStats::UdpStats(const UdpMetrics& metrics, StatsLane& lane)
    : received_total(lane.counter(metrics.received_total)),
      sent_total(lane.counter(metrics.sent_total)),
      dropped_total(
          counters(metrics.dropped_total, lane, std::make_index_sequence<kDroppedReasons>())) {}

}  // namespace baton::proxy::udp
