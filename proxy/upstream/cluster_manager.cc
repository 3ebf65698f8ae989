#include "proxy/upstream/cluster_manager.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "proxy/upstream/managed_cluster.h"
#include "shared/os/log.h"
#include "shared/os/seconds.h"

namespace baton::proxy {
namespace {

constexpr double kGaugesSeconds = 1.0;

bool needs_dns(const Config& config) {
  return std::ranges::any_of(config.clusters, [](const ClusterConfig& cluster) {
    return std::ranges::any_of(cluster.endpoints, [](const EndpointConfig& endpoint) {
      return endpoint.kind != EndpointKind::Address;
    });
  });
}

// Whether the number of available endpoints can change by itself.
bool is_watched(const ClusterConfig& cluster) {
  return cluster.health_check.has_value() || cluster.outlier_detection.has_value();
}

}  // namespace

struct ClusterManager::Impl {
  explicit Impl(const Options& options);

  void warm_up(std::function<void()> done);
  void hurry();
  void check_warm();
  void on_warm_time(ev::timer& timer, int events) noexcept;
  void go_on_without();
  void on_gauges(ev::timer& timer, int events) noexcept;
  void warmed();

  EventLoop& loop;
  const Config& config;
  SharedState shared;
  std::unique_ptr<StatsLane> lane;
  std::unique_ptr<DnsResolver> dns;  // gives up look-ups for clusters that are gone by then
  std::vector<ClusterMetrics> metrics;
  std::vector<std::unique_ptr<ManagedCluster>> clusters;
  std::function<void()> when_warm;
  bool hurried = false;
  // Expires with the manager: what it has posted to the main loop outlives it.
  std::shared_ptr<const void> alive = std::make_shared<char>();
  ev::timer warm_time;
  ev::timer gauges;
};

ClusterManager::Impl::Impl(const Options& options)
    : loop(*options.main_loop),
      config(*options.config),
      shared(*options.stats),
      warm_time(loop.ref()),
      gauges(loop.ref()) {
  warm_time.set<Impl, &Impl::on_warm_time>(this);
  gauges.set<Impl, &Impl::on_gauges>(this);
  if (needs_dns(config)) dns = std::make_unique<DnsResolver>(loop.ref(), config.dns_servers);
  if (!config.clusters.empty()) lane = options.stats->claim_lane();
  metrics.reserve(config.clusters.size());
  for (const ClusterConfig& cluster : config.clusters) {
    metrics.push_back(ClusterMetrics::resolve(*options.stats, cluster.name));
    clusters.push_back(std::make_unique<ManagedCluster>(
        ManagedCluster::Options{.config = cluster,
                                .loop = loop,
                                .workers = options.workers,
                                .state = shared,
                                .metrics = metrics.back(),
                                .lane = *lane,
                                .dns = dns.get(),
                                .on_change = [this] { check_warm(); }}));
  }
}

void ClusterManager::Impl::warm_up(std::function<void()> done) {
  for (const auto& cluster : clusters) cluster->start();
  if (std::ranges::all_of(clusters, &ManagedCluster::warm)) return done();
  when_warm = std::move(done);
  if (hurried) return go_on_without();
  warm_time.start(os::seconds(config.warm_time));
}

void ClusterManager::Impl::hurry() {
  hurried = true;
  if (when_warm) go_on_without();
}

void ClusterManager::Impl::check_warm() {
  if (when_warm && std::ranges::all_of(clusters, &ManagedCluster::warm)) warmed();
}

// Later, not from within the event that has brought it about.
void ClusterManager::Impl::warmed() {
  warm_time.stop();
  loop.post([done = std::exchange(when_warm, nullptr), watch = std::weak_ptr(alive)] {
    if (!watch.expired()) done();
  });
}

void ClusterManager::Impl::on_warm_time(ev::timer&, int) noexcept { go_on_without(); }

void ClusterManager::Impl::go_on_without() {
  for (const auto& cluster : clusters) {
    if (cluster->warm()) continue;
    log::warning("cluster {}: its endpoints are not all known yet, going on without",
                 cluster->config().name);
  }
  warmed();
}

void ClusterManager::Impl::on_gauges(ev::timer&, int) noexcept {
  for (const auto& cluster : clusters) {
    if (is_watched(cluster->config())) cluster->update_gauges();
  }
}

ClusterManager::ClusterManager(const Options& options) : impl_(std::make_unique<Impl>(options)) {}
ClusterManager::~ClusterManager() = default;

std::size_t ClusterManager::size() const { return impl_->clusters.size(); }
SharedCluster& ClusterManager::cluster(std::size_t index) {
  return impl_->clusters[index]->shared();
}
const ClusterMetrics& ClusterManager::metrics(std::size_t index) const {
  return impl_->metrics[index];
}
SharedState& ClusterManager::shared() { return impl_->shared; }

void ClusterManager::warm_up(std::function<void()> done) { impl_->warm_up(std::move(done)); }
void ClusterManager::hurry() { impl_->hurry(); }

void ClusterManager::lead() {
  for (const auto& cluster : impl_->clusters) cluster->lead();
  if (std::ranges::any_of(impl_->config.clusters, is_watched)) {
    impl_->gauges.start(kGaugesSeconds, kGaugesSeconds);
  }
}

void ClusterManager::rest() {
  impl_->gauges.stop();
  for (const auto& cluster : impl_->clusters) cluster->rest();
}

}  // namespace baton::proxy
