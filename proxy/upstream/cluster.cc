#include "proxy/upstream/cluster.h"

#include <algorithm>
#include <utility>

#include "proxy/upstream/hash_key.h"
#include "shared/os/log.h"

namespace baton::proxy {

Cluster::Cluster(SharedCluster& shared, std::size_t worker, ClusterStats stats)
    : shared_(shared),
      worker_(worker),
      available_(shared.availability(), &shared.state()),
      load_balancer_(LoadBalancer::make(shared.config().lb_policy, worker)),
      stats_(stats) {}

bool Cluster::any_available() {
  available_.refresh(members());
  if (!available_.candidates().empty()) return true;
  stats_.none_available_total.add();
  return false;
}

std::shared_ptr<const Endpoint> Cluster::pick(const PickFor& whom) {
  if (!any_available()) return nullptr;
  if (!whom.tried.empty()) return pick_other(whom);
  const std::uint64_t hash = whom.hash ? *whom.hash : needs_hash() ? random_.number() : 0;
  return available_.members().endpoints[load_balancer_->choose(available_, hash)];
}

// Does not use up anybody's turn. By address: the members may have been published anew since.
std::shared_ptr<const Endpoint> Cluster::pick_other(const PickFor& whom) {
  using Candidate = AvailableEndpoints::Candidate;
  const auto candidates = available_.candidates();
  const auto& endpoints = available_.members().endpoints;
  const auto among_tried = [&](std::uint32_t index) {
    const auto& endpoint = endpoints[index];
    return std::ranges::any_of(whom.tried, [&](const std::shared_ptr<const Endpoint>& tried) {
      return tried == endpoint || tried->address == endpoint->address;
    });
  };
  // In turn it is the next one's; else clients of a dead endpoint spread over all others.
  std::uint64_t start = random_.number();
  if (config().lb_policy == LbPolicy::RoundRobin) {
    const auto last = std::ranges::find_if(candidates, among_tried, &Candidate::index);
    start = static_cast<std::uint64_t>(last - candidates.begin()) + 1;
  } else if (whom.hash) {
    start = mix_hash(*whom.hash + whom.tried.size());
  }
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const std::uint32_t index = candidates[(start + i) % candidates.size()].index;
    if (!among_tried(index)) return endpoints[index];
  }
  const auto fallback = std::ranges::find_if_not(available_.fallbacks(), among_tried);
  return fallback == available_.fallbacks().end() ? nullptr : endpoints[*fallback];
}

CircuitGuard Cluster::try_acquire(Circuit circuit) {
  CircuitGuard guard = shared_.breaker().try_acquire(circuit);
  if (!guard) stats_.overflow_total[static_cast<std::size_t>(circuit)].add();
  return guard;
}

std::shared_ptr<const Endpoint> Cluster::find(const os::SocketAddress& address) const {
  const auto& endpoints = members()->endpoints;
  const auto found = std::ranges::find_if(
      endpoints, [&](const auto& endpoint) { return endpoint->address == address; });
  return found == endpoints.end() ? nullptr : *found;
}

CircuitGuard Cluster::try_connect_now() {
  return shared_.queue().empty() ? shared_.breaker().try_acquire(Circuit::Connections)
                                 : CircuitGuard();
}

Cluster::Ticket Cluster::wait_for_place(ConnectionQueue::Waiter& waiter) {
  return shared_.queue().wait(shared_.loop(worker_), waiter);
}

CircuitGuard Cluster::acquire(Circuit circuit) { return shared_.breaker().acquire(circuit); }

std::uint32_t Cluster::in_use(Circuit circuit) const { return shared_.breaker().in_use(circuit); }

CircuitGuard Cluster::acquire_idle() { return shared_.breaker().acquire_idle(); }

bool Cluster::too_many_open() const { return shared_.breaker().too_many_open(); }

void Cluster::report(const Endpoint& endpoint, Outcome outcome) {
  if (!shared_.outliers().report(endpoint, outcome, *members())) return;
  stats_.ejections_total.add();
  log::warning("cluster {}: {} is ejected: it has failed too often in a row", name(),
               endpoint.address.text());
}

}  // namespace baton::proxy
