// Ejects endpoints that fail their clients: too many failures in a row, and one gets no traffic for
// a while. The n-th ejection lasts n times the base time, up to a maximum; each base time without
// one takes a step back. Counts and ejections are shared by all workers and generations.
//
// Thread: any. Borrows: configuration, shared state.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>

#include "proxy/config/config.h"
#include "proxy/upstream/endpoint.h"

namespace baton::proxy {

class SharedState;

// What came of using an endpoint.
enum class Outcome : std::uint8_t {
  Connected,       // a new connection; what will be said on it is not known yet
  Success,         // an answer below 500
  ServerError,     // an answer of 500 or more, or none: a reset, a timeout, garbage
  ConnectFailure,  // refused, unreachable, timed out
};

class OutlierDetector {
 public:
  // Nothing configured: never ejects.
  OutlierDetector(const std::optional<OutlierConfig>& config, SharedState& shared)
      : config_(config), shared_(shared) {}

  // True: this report has ejected the endpoint. A success costs two loads. `members`: the cluster
  // now, for the ceiling of how many may be ejected.
  bool report(const Endpoint& endpoint, Outcome outcome, const ClusterMembers& members);

 private:
  bool eject(EndpointState& state, const ClusterMembers& members);
  bool below_ceiling(const ClusterMembers& members, std::uint64_t now_ns) const;

  const std::optional<OutlierConfig>& config_;
  SharedState& shared_;
  std::mutex mutex_;  // so that two workers do not eject the last two at once
};

}  // namespace baton::proxy
