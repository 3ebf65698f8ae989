#include "proxy/upstream/consistent_hash.h"

#include "proxy/upstream/hash_ring.h"
#include "proxy/upstream/maglev_table.h"

namespace baton::proxy {

std::size_t ConsistentHash::choose(const AvailableEndpoints& available, std::uint64_t hash) {
  const ClusterMembers& members = available.members();
  const auto accepts = [&available](std::size_t index) { return available.contains(index); };
  if (members.ring) return members.ring->find(hash, accepts);
  if (members.maglev) {
    const std::size_t found = members.maglev->find(hash, accepts);
    if (found != MaglevTable::kNone) return found;
  }
  const auto candidates = available.candidates();
  return candidates[hash % candidates.size()].index;
}

}  // namespace baton::proxy
