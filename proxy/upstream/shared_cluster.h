// What all workers of a process share of one cluster: its configuration, the members that the main
// thread publishes, circuit breakers, outlier detection.
//
// Thread: members().set(): main; everything else any. Borrows: configuration, loops, shared state.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "proxy/config/config.h"
#include "proxy/upstream/available_endpoints.h"
#include "proxy/upstream/circuit_breaker.h"
#include "proxy/upstream/connection_queue.h"
#include "proxy/upstream/endpoint.h"
#include "proxy/upstream/outlier_detector.h"
#include "proxy/upstream/shared_state.h"
#include "proxy/worker/slot.h"

namespace baton::proxy {

class SharedCluster {
 public:
  SharedCluster(const ClusterConfig& config, std::span<EventLoop* const> workers,
                SharedState& state, std::shared_ptr<const ClusterMembers> initial)
      : config_(config),
        state_(state),
        workers_(workers.begin(), workers.end()),
        members_(workers, std::move(initial)),
        breaker_(config.limits),
        outliers_(config.outlier_detection, state) {}

  const ClusterConfig& config() const { return config_; }
  SharedState& state() { return state_; }
  Slot<ClusterMembers>& members() { return members_; }
  CircuitBreaker& breaker() { return breaker_; }
  ConnectionQueue& queue() { return queue_; }
  EventLoop& loop(std::size_t worker) { return *workers_[worker]; }
  OutlierDetector& outliers() { return outliers_; }
  AvailabilityPolicy availability() const {
    return {.checked = config_.health_check.has_value(),
            .ejects = config_.outlier_detection.has_value(),
            .panic_threshold = config_.panic_threshold,
            .slow_start = config_.slow_start};
  }

 private:
  const ClusterConfig& config_;
  SharedState& state_;
  const std::vector<EventLoop*> workers_;
  Slot<ClusterMembers> members_;
  CircuitBreaker breaker_;
  ConnectionQueue queue_{breaker_};
  OutlierDetector outliers_;
};

}  // namespace baton::proxy
