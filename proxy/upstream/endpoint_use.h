// One connection or request in progress on an endpoint, for as long as this lives: what
// least_request compares. A move-only handle; the default one counts nothing.
// Thread: any.
#pragma once

#include <memory>
#include <utility>

#include "proxy/upstream/endpoint.h"
#include "proxy/upstream/endpoint_state.h"

namespace baton::proxy {

class EndpointUse {
 public:
  EndpointUse() = default;
  explicit EndpointUse(const Endpoint& endpoint) : state_(endpoint.state) {
    if (state_) state_->active_.fetch_add(1, std::memory_order_relaxed);
  }
  EndpointUse(EndpointUse&& other) noexcept : state_(std::move(other.state_)) {}
  EndpointUse& operator=(EndpointUse&& other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~EndpointUse() {
    if (state_) state_->active_.fetch_sub(1, std::memory_order_relaxed);
  }

 private:
  std::shared_ptr<EndpointState> state_;
};

}  // namespace baton::proxy
