#include "proxy/upstream/shared_state.h"

#include <algorithm>
#include <ctime>
#include <stdexcept>

#include "proxy/stats/stats_store.h"
#include "shared/os/log.h"
#include "shared/region/region.h"

namespace baton::proxy {

std::uint64_t monotonic_ns() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(time.tv_nsec);
}

SharedState::SharedState(StatsStore& stats) : slot_(stats.slot()) {
  auto own = region::PrivateRuntime::create();
  if (!own) throw std::runtime_error(own.error().text());
  private_ = std::move(*own);
  region::Region* const region = stats.region();
  if (region != nullptr) shared_ = &region->endpoints();
  rate_buckets_ = region != nullptr ? &region->rate_buckets() : &private_->rate_buckets();
}

SharedState::~SharedState() = default;

std::shared_ptr<EndpointState> SharedState::state_of(const std::string& cluster,
                                                     const std::string& address) {
  Key key(cluster, address);
  const std::scoped_lock lock(mutex_);
  std::weak_ptr<EndpointState>& known = states_[key];
  if (auto state = known.lock()) return state;

  region::EndpointSlot* entry = nullptr;
  if (shared_ != nullptr) {
    if (const auto found = shared_->find_or_add(cluster, address, slot_)) {
      entry = *found;
    } else {
      log::warning("health of cluster {} is not shared with other generations: {}", cluster,
                   found.error().text());
    }
  }
  const bool in_process = entry == nullptr;
  if (in_process) {
    const auto found = private_->endpoints().find_or_add(cluster, address, slot_);
    if (!found) {
      // Without an entry it is always available, as if nobody asked.
      log::warning("cluster {}: {}", cluster, found.error().text());
      states_.erase(key);
      return nullptr;
    }
    entry = *found;
  }
  std::uint64_t never = 0;
  entry->available_since_ns.compare_exchange_strong(never, monotonic_ns());
  const std::shared_ptr<EndpointState> state(
      new EndpointState(*entry, in_process),
      [this, key = std::move(key)](EndpointState* dead) { let_go(key, dead); });
  known = state;
  return state;
}

void SharedState::set_found(const std::string& cluster, std::span<const FoundEndpoint> found) {
  if (shared_ == nullptr) return;
  region::FoundByAddress shares;
  for (const FoundEndpoint& each : found) {
    const auto weight =
        static_cast<std::uint16_t>(std::clamp<std::uint32_t>(each.weight, 1, 65535));
    shares.try_emplace(each.address.text(),
                       region::FoundShare{.weight = weight, .priority = each.priority});
  }
  if (const auto said = shared_->set_found(cluster, shares); !said) {
    log::warning("endpoints of cluster {} for the next generation: {}", cluster,
                 said.error().text());
  }
}

std::vector<FoundEndpoint> SharedState::inherited(const std::string& cluster) {
  std::vector<FoundEndpoint> inherited;
  if (shared_ == nullptr) return inherited;
  const auto found = shared_->found_of(cluster, slot_);
  if (!found) {
    log::warning("endpoints of the former generation: {}", found.error().text());
    return inherited;
  }
  for (const auto& [text, share] : *found) {
    if (const auto address = os::SocketAddress::parse(text)) {
      inherited.push_back(
          {.address = *address, .weight = share.weight, .priority = share.priority});
    }
  }
  return inherited;
}

void SharedState::announce(const EndpointState& state) { table_of(state).announce(); }

region::EndpointTable& SharedState::table_of(const EndpointState& state) {
  return state.in_process() || shared_ == nullptr ? private_->endpoints() : *shared_;
}

// The endpoint may have been asked for again since its last holder let go: then the entry is in use
// by the object that was made for that.
void SharedState::let_go(const Key& key, EndpointState* state) {
  const std::unique_ptr<EndpointState> dead(state);
  const std::scoped_lock lock(mutex_);
  const auto found = states_.find(key);
  if (found == states_.end() || !found->second.expired()) return;
  states_.erase(found);
  table_of(*dead).release(dead->slot(), slot_);
}

}  // namespace baton::proxy
