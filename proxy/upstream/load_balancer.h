// Chooses the endpoint for a connection or request among those that are available.
// Thread: one worker's; each worker has its own, so that choosing shares nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "proxy/config/config.h"
#include "proxy/upstream/available_endpoints.h"

namespace baton::proxy {

class LoadBalancer {
 public:
  virtual ~LoadBalancer() = default;
  // The place of an endpoint in the members. There is a candidate; they may be others than last
  // time. `hash` is of the client, for the policies that place clients.
  virtual std::size_t choose(const AvailableEndpoints& available, std::uint64_t hash) = 0;

  // Whether choose() looks at the hash.
  static bool needs_hash(LbPolicy policy) {
    return policy == LbPolicy::RingHash || policy == LbPolicy::Maglev;
  }
  // `worker` makes those of different workers begin at different endpoints.
  static std::unique_ptr<LoadBalancer> make(LbPolicy policy, std::size_t worker);
};

}  // namespace baton::proxy
