// What is counted for HTTP: for each listener, and for each cluster that HTTP uses.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>

#include "proxy/stats/stats_store.h"

namespace baton::proxy::http {

// By the first digit of the status: 1xx to 5xx. What is beyond them counts as the last (RFC 9110
// section 15).
inline constexpr std::size_t kStatusClasses = 5;

// Thread: the lane's.
struct HttpStats {
  // Resolves by name: on the main thread, before the worker runs.
  HttpStats(StatsStore& store, StatsLane& lane, const std::string& listener);

  void count_response(std::uint16_t status) {
    if (status >= 100)
      responses_total[std::min<std::size_t>(status / 100U, kStatusClasses) - 1U].add();
  }

  region::Counter requests_total;  // whose head was received in full, or refused
  region::Gauge requests_active;
  std::array<region::Counter, kStatusClasses> responses_total;
  region::Counter rejected_total;  // for their framing
  region::Counter resets_total;    // responses that ended before their end
  region::Counter upgrades_total;  // tunnels
  region::Histogram duration_microseconds;
};

struct UpstreamHttpStats {
  UpstreamHttpStats(StatsStore& store, StatsLane& lane, const std::string& cluster);

  region::Counter requests_total;  // attempts
  region::Gauge requests_active;
  region::Counter retries_total;
  region::Counter timeouts_total;
  region::Counter resets_total;
  region::Counter protocol_errors_total;
  region::Histogram first_byte_microseconds;  // from the request sent to the response's head
};

}  // namespace baton::proxy::http
