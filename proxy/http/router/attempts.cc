#include "proxy/http/router/attempts.h"

namespace baton::proxy::http {

void Attempts::begin(Cluster& cluster, const ForwardAction& route,
                     std::optional<std::uint64_t> hash) {
  cluster_ = &cluster;
  policy_ = route.retry ? &*route.retry : nullptr;
  hash_ = hash;
  retries_ = failovers_ = 0;
  stale_retry_used_ = reconnects_ = false;
}

void Attempts::end() {
  guard_ = {};
  tried_.clear();
  cluster_ = nullptr;
}

std::shared_ptr<const Endpoint> Attempts::pick() {
  auto endpoint = cluster_->pick({.hash = hash_, .tried = tried_});
  if (endpoint || tried_.empty()) return endpoint;
  // Where nobody else is left, one that failed may have recovered: rather not the last one.
  tried_.erase(tried_.begin(), tried_.end() - 1);
  endpoint = cluster_->pick({.hash = hash_, .tried = tried_});
  return endpoint ? endpoint : cluster_->pick({.hash = hash_});
}

bool Attempts::take_retry() {
  if (retries_ >= policy_->retries) {
    info_.flags.set(ResponseFlag::RetryLimitExceeded);
    return false;
  }
  // One that takes the place of an earlier one adds nothing to what is under way.
  if (!guard_ && !policy_->budget_admits(cluster_->in_use(Circuit::Requests),
                                         cluster_->in_use(Circuit::Retries))) {
    return false;
  }
  if (!guard_) guard_ = cluster_->try_acquire(Circuit::Retries);
  if (!guard_) return false;
  ++retries_;
  return true;
}

// Failovers put no load on the cluster that it would not have had anyway, so its budget is not for
// them.
std::shared_ptr<const Endpoint> Attempts::pick_after_connect_failure() {
  if (policy_ != nullptr && policy_->on_connect_failure()) {
    reconnects_ = reconnects_ || !guard_;
    return take_retry() ? pick() : nullptr;
  }
  auto other = cluster_->pick({.hash = hash_, .tried = tried_});
  if (!other) return nullptr;
  if (failovers_ == kMostFailovers) {
    info_.flags.set(ResponseFlag::RetryLimitExceeded);
    return nullptr;
  }
  ++failovers_;
  return other;
}

void Attempts::connected() {
  if (std::exchange(reconnects_, false)) guard_ = {};
}

}  // namespace baton::proxy::http
