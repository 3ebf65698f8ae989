#include "proxy/upstream/managed_cluster.h"

#include <algorithm>
#include <set>
#include <utility>

#include "proxy/upstream/dns_endpoints.h"
#include "proxy/upstream/endpoints_file.h"
#include "proxy/upstream/hash_ring.h"
#include "proxy/upstream/maglev_table.h"
#include "shared/os/check.h"
#include "shared/os/log.h"

namespace baton::proxy {
namespace {

using Health = EndpointState::Health;

bool same_endpoints(const ClusterMembers& a, const ClusterMembers& b) {
  return std::ranges::equal(a.endpoints, b.endpoints);
}

}  // namespace

ManagedCluster::ManagedCluster(Options options)
    : options_(std::move(options)),
      members_(make_members({})),
      shared_(options_.config, options_.workers, options_.state, members_),
      endpoints_(options_.lane.gauge(options_.metrics.endpoints)),
      available_(options_.lane.gauge(options_.metrics.endpoints_available)),
      ejected_(options_.lane.gauge(options_.metrics.endpoints_ejected)),
      check_failures_(options_.lane.counter(options_.metrics.health_check_failures_total)),
      discovery_failures_(options_.lane.counter(options_.metrics.discovery_failures_total)) {
  for (const EndpointConfig& endpoint : options_.config.endpoints) {
    if (endpoint.kind == EndpointKind::Address) continue;
    BATON_CHECK(options_.dns != nullptr);
    sources_.push_back(std::make_unique<DnsEndpoints>(options_.loop.ref(), *options_.dns, endpoint,
                                                      static_cast<EndpointSourceSink&>(*this)));
  }
  if (!options_.config.endpoints_file.empty()) {
    sources_.push_back(std::make_unique<EndpointsFile>(options_.loop.ref(),
                                                       options_.config.endpoints_file,
                                                       static_cast<EndpointSourceSink&>(*this)));
  }
}

ManagedCluster::~ManagedCluster() = default;

void ManagedCluster::start() {
  started_ = true;
  if (!sources_.empty()) {
    // Once: the generation before, of which it is known, may be gone when it is still needed.
    inherited_ = options_.state.inherited(options_.config.name);
    publish();
  }
  for (const auto& source : sources_) source->start();
  watch_health();
}

bool ManagedCluster::warm() const {
  if (std::ranges::any_of(sources_, &EndpointSource::pending)) return false;
  if (!options_.config.health_check) return true;
  return std::ranges::none_of(members_->endpoints, [](const auto& endpoint) {
    return endpoint->state && endpoint->state->health() == Health::Unknown;
  });
}

void ManagedCluster::lead() {
  if (std::exchange(stage_, Stage::Leading) == Stage::Leading) return;
  for (const auto& [address, checker] : checkers_) checker->start(HealthChecker::Role::InCharge);
  watch_health();
  update_gauges();
  tell_heirs();
}

void ManagedCluster::rest() {
  if (stage_ != Stage::Leading) return;
  stage_ = Stage::Resting;
  for (const auto& [address, checker] : checkers_) checker->stop();
  for (const region::Gauge& gauge : {endpoints_, available_, ejected_}) gauge.set(0);
}

void ManagedCluster::update_gauges() {
  if (stage_ != Stage::Leading) return;
  const std::uint64_t now_ns = monotonic_ns();
  std::uint64_t available = 0;
  std::uint64_t ejected = 0;
  for (const auto& endpoint : members_->endpoints) {
    const EndpointState* const state = endpoint->state.get();
    const bool out =
        options_.config.outlier_detection && state != nullptr && state->ejected(now_ns);
    const bool healthy =
        !options_.config.health_check || state == nullptr || state->health() == Health::Healthy;
    if (out) ++ejected;
    if (healthy && !out) ++available;
  }
  endpoints_.set(members_->endpoints.size());
  available_.set(available);
  ejected_.set(ejected);
}

void ManagedCluster::on_looked() {
  publish();
  options_.on_change();
}

// Checks go on in intervals for who is in charge; whoever warms up needs to know once.
void ManagedCluster::on_checked(HealthChecker& checker, CheckResult result) {
  if (result == CheckResult::Failure) check_failures_.add();
  if (stage_ != Stage::Leading) checker.stop();
  update_gauges();
  options_.on_change();
}

// Those written down, then what the sources have found, then what is inherited; an address counts
// once, as it comes first.
std::shared_ptr<const ClusterMembers> ManagedCluster::make_members(
    const ClusterMembers& previous) const {
  std::map<std::string, std::shared_ptr<const Endpoint>> known;
  for (const auto& endpoint : previous.endpoints) known[endpoint->address.text()] = endpoint;
  auto members = std::make_shared<ClusterMembers>();
  std::set<std::string> addresses;
  const auto add = [&](const FoundEndpoint& found) {
    const auto [address, is_new] = addresses.insert(found.address.text());
    if (!is_new) return;
    const auto same = known.find(*address);
    if (same != known.end() && same->second->weight == found.weight &&
        same->second->priority == found.priority) {
      members->endpoints.push_back(same->second);
      return;
    }
    members->endpoints.push_back(std::make_shared<const Endpoint>(
        Endpoint{.address = found.address,
                 .weight = found.weight,
                 .priority = found.priority,
                 .state = options_.state.state_of(options_.config.name, *address)}));
  };
  for (const EndpointConfig& endpoint : options_.config.endpoints) {
    if (endpoint.kind == EndpointKind::Address) add({endpoint.address, endpoint.weight});
  }
  for (const auto& source : sources_) std::ranges::for_each(source->found(), add);
  // A name server that is down, or a file that is broken, at the wrong moment must not undo what
  // the generation before knew.
  std::ranges::for_each(inherited_, add);
  if (members->endpoints.empty()) return members;
  if (options_.config.lb_policy == LbPolicy::RingHash) {
    members->ring = std::make_shared<HashRing>(members->endpoints);
  } else if (options_.config.lb_policy == LbPolicy::Maglev) {
    members->maglev = std::make_shared<MaglevTable>(members->endpoints);
  }
  return members;
}

// Who has found an address himself says when it is no longer there.
void ManagedCluster::forget_inherited() {
  if (std::ranges::none_of(sources_, &EndpointSource::blind)) return inherited_.clear();
  for (const auto& source : sources_) {
    for (const FoundEndpoint& found : source->found()) {
      std::erase_if(inherited_,
                    [&](const FoundEndpoint& each) { return each.address == found.address; });
    }
  }
}

// What is written down is not among it: who removes it means it.
void ManagedCluster::tell_heirs() {
  if (stage_ != Stage::Leading) return;
  std::set<std::string> written;
  for (const EndpointConfig& endpoint : options_.config.endpoints) {
    if (endpoint.kind == EndpointKind::Address) written.insert(endpoint.address.text());
  }
  std::vector<FoundEndpoint> found;
  for (const auto& each : members_->endpoints) {
    if (written.contains(each->address.text())) continue;
    found.push_back({.address = each->address, .weight = each->weight, .priority = each->priority});
  }
  options_.state.set_found(options_.config.name, found);
}

void ManagedCluster::publish() {
  forget_inherited();
  auto next = make_members(*members_);
  if (same_endpoints(*next, *members_)) return;
  members_ = std::move(next);
  log::info("cluster {}: {} endpoints", options_.config.name, members_->endpoints.size());
  watch_health();
  shared_.members().set(members_);
  update_gauges();
  tell_heirs();
}

// Who rests goes by what its successor finds out.
void ManagedCluster::watch_health() {
  if (!options_.config.health_check || !started_ || stage_ == Stage::Resting) return;
  std::map<std::string, std::unique_ptr<HealthChecker>> kept;
  for (const auto& endpoint : members_->endpoints) {
    if (!endpoint->state) continue;
    const std::string address = endpoint->address.text();
    if (const auto found = checkers_.find(address); found != checkers_.end()) {
      kept[address] = std::move(found->second);
      continue;
    }
    auto& checker = kept[address];
    checker = std::make_unique<HealthChecker>(
        options_.loop.ref(),
        HealthChecker::Options{.config = *options_.config.health_check,
                               .cluster = options_.config.name,
                               .shared = options_.state,
                               .sink = *this,
                               .send_proxy_protocol = options_.config.send_proxy_protocol},
        endpoint);
    using Role = HealthChecker::Role;
    if (stage_ == Stage::Leading) {
      checker->start(Role::InCharge);
    } else if (endpoint->state->health() == Health::Unknown) {
      checker->start(Role::WarmUp);
    }
  }
  checkers_ = std::move(kept);
}

}  // namespace baton::proxy
