// Places clients by their hash, with the table that the main thread has made of the members: the
// ring of ring_hash or the table of maglev. Endpoints that are not available are passed over, so
// only their clients move.
// Thread: one worker's.
#pragma once

#include "proxy/upstream/load_balancer.h"

namespace baton::proxy {

class ConsistentHash final : public LoadBalancer {
 public:
  std::size_t choose(const AvailableEndpoints& available, std::uint64_t hash) override;
};

}  // namespace baton::proxy
