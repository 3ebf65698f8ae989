// What is counted for each UDP listener beside what every listener counts: resolved by name once,
// then a handle on each worker's lane.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "proxy/stats/stats_store.h"

namespace baton::proxy::udp {

// Why a datagram went no further.
enum class Dropped : std::uint8_t {
  MaxConnections,  // a new client's, with max_connections sessions there
  CircuitBreaker,  // the same with the cluster's limit
  NoEndpoint,      // a new client's, and no endpoint is available
  Shortage,        // a new client's, for want of descriptors or ports
  ToUpstream,      // the kernel did not take it: its queue is full, or the endpoint is not there
  ToClient,        // the same towards the client
  ReceiveQueue,    // by the kernel, before it was received: the listener's queue was full
};
inline constexpr std::size_t kDroppedReasons = 7;

// Thread: main, before the worker runs.
struct UdpMetrics {
  static UdpMetrics resolve(StatsStore& store, const std::string& listener);

  region::MetricId received_total;
  region::MetricId sent_total;
  std::array<region::MetricId, kDroppedReasons> dropped_total;  // by Dropped
};

// Thread: the lane's.
struct UdpStats {
  UdpStats(const UdpMetrics& metrics, StatsLane& lane);

  region::Counter received_total;
  region::Counter sent_total;
  std::array<region::Counter, kDroppedReasons> dropped_total;

  void drop(Dropped reason, std::uint64_t datagrams) {
    dropped_total[static_cast<std::size_t>(reason)].add(datagrams);
  }
};

}  // namespace baton::proxy::udp
