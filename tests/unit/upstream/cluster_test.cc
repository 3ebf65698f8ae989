#include "proxy/upstream/cluster.h"

#include <set>
#include <string>
#include <vector>

#include "tests/unit/fixture/metrics.h"
#include "tests/unit/upstream/members.h"

using namespace baton;
using namespace baton::fixture;
using namespace baton::proxy;

namespace {

// A cluster as two workers see it, in one thread.
struct TwoWorkers {
  explicit TwoWorkers(const ClusterConfig& cluster, std::size_t endpoints = 3)
      : config(cluster), state(std::vector<std::uint32_t>(endpoints, 1)) {}

  std::string picks(Cluster& worker, int count, const PickFor& whom = {}) {
    std::string letters;
    for (int i = 0; i < count; ++i) letters += letter(worker.pick(whom));
    return letters;
  }
  char letter(const std::shared_ptr<const Endpoint>& endpoint) const {
    for (std::size_t i = 0; i < state.members->endpoints.size(); ++i) {
      if (state.members->endpoints[i] == endpoint) return static_cast<char>('a' + i);
    }
    return '-';
  }
  std::int64_t counted(const std::string& name) const {
    return metric(*state.stats, "baton_upstream_" + name + R"({cluster="back"})");
  }

  ClusterConfig config;
  WithState state;
  EventLoop loops[2];
  EventLoop* const borrowed[2] = {&loops[0], &loops[1]};
  SharedCluster shared{config, borrowed, state.shared, state.members};
  std::unique_ptr<StatsLane> lane = state.stats->claim_lane();
  ClusterMetrics metrics = ClusterMetrics::resolve(*state.stats, "back");
  Cluster one{shared, 0, ClusterStats(metrics, *lane)};
  Cluster two{shared, 1, ClusterStats(metrics, *lane)};
};

ClusterConfig named(LbPolicy policy) {
  ClusterConfig config;
  config.name = "back";
  config.lb_policy = policy;
  return config;
}

}  // namespace

TEST_CASE("cluster: workers begin at different endpoints, and a retry is nobody's turn") {
  TwoWorkers cluster(named(LbPolicy::RoundRobin));
  CHECK(cluster.picks(cluster.one, 2) == "ab");
  CHECK(cluster.picks(cluster.two, 2) == "bc");
  const std::vector<std::shared_ptr<const Endpoint>> tried{cluster.state.members->endpoints[1]};
  CHECK(cluster.picks(cluster.one, 3, {.tried = tried}) == "ccc");
  CHECK(cluster.picks(cluster.one, 2) == "ca");
}

TEST_CASE(
    "cluster: whatever the policy, a retry goes to one that has not been tried, if there is") {
  for (const LbPolicy policy : {LbPolicy::RoundRobin, LbPolicy::LeastRequest, LbPolicy::Random,
                                LbPolicy::RingHash, LbPolicy::Maglev}) {
    CAPTURE(static_cast<int>(policy));
    TwoWorkers cluster(named(policy), 5);
    for (std::uint64_t client = 0; client < 50; ++client) {
      std::vector<std::shared_ptr<const Endpoint>> tried;
      for (int i = 0; i < 5; ++i)
        tried.push_back(cluster.one.pick({.hash = client, .tried = tried}));
      CHECK(std::set(tried.begin(), tried.end()).size() == 5);
      CHECK(cluster.one.pick({.hash = client, .tried = tried}) == nullptr);
    }
  }
}

TEST_CASE("cluster: an endpoint that was published anew in between counts as tried") {
  TwoWorkers cluster(named(LbPolicy::RoundRobin), 2);
  const auto before = members_of({7, 7});  // other objects, the same addresses
  CHECK(cluster.picks(cluster.one, 1, {.tried = before->endpoints}) == "-");
}

TEST_CASE("cluster: what one worker finds out counts for the others at once") {
  ClusterConfig config = named(LbPolicy::RoundRobin);
  config.outlier_detection = OutlierConfig{.consecutive_5xx = 2};
  TwoWorkers cluster(config);
  CHECK(cluster.picks(cluster.two, 3) == "bca");
  const Endpoint& failing = *cluster.state.members->endpoints[1];
  cluster.one.report(failing, Outcome::ServerError);
  cluster.two.report(failing, Outcome::ServerError);
  CHECK(cluster.counted("ejections_total") == 1);
  CHECK(cluster.picks(cluster.one, 4) == "acac");
  CHECK(cluster.picks(cluster.two, 4).find('b') == std::string::npos);
}

TEST_CASE("cluster: nobody available is known at once, and counted") {
  ClusterConfig config = named(LbPolicy::Random);
  config.health_check = HealthCheckConfig{};
  TwoWorkers cluster(config);
  for (std::size_t i = 0; i < cluster.state.members->endpoints.size(); ++i) {
    cluster.state.set_health(i, EndpointState::Health::Unhealthy);
  }
  CHECK(cluster.picks(cluster.one, 2) == "--");
  CHECK(cluster.counted("none_available_total") == 2);
  cluster.state.set_health(2, EndpointState::Health::Healthy);
  CHECK(cluster.picks(cluster.one, 2) == "cc");
}

TEST_CASE("cluster: limits are those of all workers together, overflow is counted by its kind") {
  ClusterConfig config = named(LbPolicy::Random);
  config.limits = {.connections = 1, .pending_requests = 1, .requests = 2, .retries = 1};
  TwoWorkers cluster(config);
  const CircuitGuard first = cluster.one.try_acquire(Circuit::Requests);
  const CircuitGuard second = cluster.two.try_acquire(Circuit::Requests);
  CHECK(first);
  CHECK(second);
  CHECK_FALSE(cluster.two.try_acquire(Circuit::Requests));
  CHECK(cluster.counted("requests_overflow_total") == 1);
  CHECK(cluster.counted("connections_overflow_total") == 0);
  const CircuitGuard retry = cluster.one.try_acquire(Circuit::Retries);
  CHECK_FALSE(cluster.two.try_acquire(Circuit::Retries));
  CHECK(cluster.counted("retries_overflow_total") == 1);
}
