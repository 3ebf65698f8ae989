#include "proxy/upstream/load_balancer.h"

#include "proxy/upstream/consistent_hash.h"
#include "proxy/upstream/least_request.h"
#include "proxy/upstream/random_choice.h"
#include "proxy/upstream/round_robin.h"
#include "shared/os/check.h"

namespace baton::proxy {

std::unique_ptr<LoadBalancer> LoadBalancer::make(LbPolicy policy, std::size_t worker) {
  switch (policy) {
    case LbPolicy::RoundRobin:
      return std::make_unique<RoundRobin>(worker);
    case LbPolicy::LeastRequest:
      return std::make_unique<LeastRequest>();
    case LbPolicy::Random:
      return std::make_unique<RandomChoice>();
    case LbPolicy::RingHash:
    case LbPolicy::Maglev:
      return std::make_unique<ConsistentHash>();
  }
  BATON_CHECK(false);
  return nullptr;
}

}  // namespace baton::proxy
