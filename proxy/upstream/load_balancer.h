// Chooses the endpoint for a connection.
// Thread: one worker's; each worker has its own, so that choosing shares nothing.
#pragma once

#include <cstddef>
#include <cstdint>

#include "proxy/upstream/endpoint.h"

namespace baton::proxy {

class LoadBalancer {
 public:
  virtual ~LoadBalancer() = default;
  // An index into members.endpoints, which is not empty and may have changed since the last call.
  virtual std::size_t choose(const ClusterMembers& members) = 0;
};

}  // namespace baton::proxy
