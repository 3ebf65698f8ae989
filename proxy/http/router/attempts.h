// How often and where a request may be tried: what it has used up of its attempts, and which
// endpoints it has tried.
//
//   retry            by the route's policy: within its number, the cluster's budget and its circuit
//                    breaker; on connect failures as well, if the policy names them
//   failover         no connection was made, and no policy is for that: a few endpoints that have
//                    not been tried
//   stale retry      a kept-alive connection was closed by the endpoint just then: once
//
// Whether the request can be sent once more is for its owner to know.
//
// Thread: its worker's. Owns: the guard of the retry under way. Borrows: cluster, route and stream
// info, from begin() to end().
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "proxy/http/route/route.h"
#include "proxy/http/stream_info.h"
#include "proxy/upstream/cluster.h"

namespace baton::proxy::http {

class Attempts {
 public:
  explicit Attempts(StreamInfo& info) : info_(info) {}

  void begin(Cluster& cluster, const ForwardAction& route, std::optional<std::uint64_t> hash);
  void end();

  // One that has not been tried, if there is any. Null: nobody is available.
  std::shared_ptr<const Endpoint> pick();
  // Not this one again while there are others.
  void note_tried(std::shared_ptr<const Endpoint> endpoint) {
    tried_.push_back(std::move(endpoint));
  }

  // One more by the route's policy, which there is; false: it has had its attempts. The retry is
  // under way, for circuit breaker and budget, until end().
  bool take_retry();
  // Where to go after note_tried() of one that could not be reached. Null: it has had its attempts.
  std::shared_ptr<const Endpoint> pick_after_connect_failure();
  // There is a connection: a retry that was for want of one is over. From here on the request is no
  // more work to the endpoints than one that got there at once.
  void connected();
  bool take_stale_retry() { return !std::exchange(stale_retry_used_, true); }
  bool stale_retry_used() const { return stale_retry_used_; }

  // How many endpoints more are tried after a connect failure that no retry policy is for.
  static constexpr std::uint32_t kMostFailovers = 3;

 private:
  StreamInfo& info_;
  Cluster* cluster_ = nullptr;  // null: no request
  const RetryPolicy* policy_ = nullptr;
  std::optional<std::uint64_t> hash_;
  std::uint32_t retries_ = 0;
  std::uint32_t failovers_ = 0;
  bool stale_retry_used_ = false;
  bool reconnects_ = false;  // the retry under way is one for want of a connection only
  CircuitGuard guard_;
  std::vector<std::shared_ptr<const Endpoint>> tried_;
};

}  // namespace baton::proxy::http
