// The policies other than round robin.
#include <algorithm>
#include <ctime>
#include <map>
#include <random>
#include <set>
#include <vector>

#include "proxy/upstream/consistent_hash.h"
#include "proxy/upstream/endpoint_use.h"
#include "proxy/upstream/hash_key.h"
#include "proxy/upstream/hash_ring.h"
#include "proxy/upstream/least_request.h"
#include "proxy/upstream/load_balancer.h"
#include "proxy/upstream/maglev_table.h"
#include "proxy/upstream/random_choice.h"
#include "tests/unit/upstream/members.h"

using namespace baton;
using namespace baton::proxy;
using baton::fixture::members_of;
using baton::fixture::WithState;

namespace {

constexpr std::uint64_t kHourNs = 3'600'000'000'000;
constexpr LbPolicy kHashing[] = {LbPolicy::RingHash, LbPolicy::Maglev};

void add_table(ClusterMembers& members, LbPolicy policy) {
  if (policy == LbPolicy::RingHash) {
    members.ring = std::make_shared<HashRing>(members.endpoints);
  } else {
    members.maglev = std::make_shared<MaglevTable>(members.endpoints);
  }
}

// The address each of so many clients comes to.
std::vector<std::string> homes(const AvailableEndpoints& available, int clients) {
  ConsistentHash balancer;
  std::vector<std::string> homes;
  for (int i = 0; i < clients; ++i) {
    const std::size_t index = balancer.choose(available, hash_of_text(std::to_string(i)));
    homes.push_back(available.members().endpoints[index]->address.text());
  }
  return homes;
}

std::vector<double> shares(LoadBalancer& balancer, const AvailableEndpoints& available, int count) {
  std::vector<double> shares(available.members().endpoints.size());
  for (int i = 0; i < count; ++i) {
    shares[balancer.choose(available, hash_of_text(std::to_string(i)))] += 1.0 / count;
  }
  return shares;
}

}  // namespace

TEST_CASE("random and least_request: shares follow the weights") {
  AvailableEndpoints available({}, nullptr);
  available.refresh(members_of({1, 2, 5}));
  RandomChoice random(7);
  const auto by_chance = shares(random, available, 100'000);
  CHECK(by_chance[0] == doctest::Approx(0.125).epsilon(0.05));
  CHECK(by_chance[1] == doctest::Approx(0.25).epsilon(0.05));
  CHECK(by_chance[2] == doctest::Approx(0.625).epsilon(0.05));
  LeastRequest least(7);
  const auto by_load = shares(least, available, 100'000);  // nobody has any
  CHECK(by_load[0] == doctest::Approx(0.125).epsilon(0.05));
  CHECK(by_load[1] == doctest::Approx(0.25).epsilon(0.05));
  CHECK(by_load[2] == doctest::Approx(0.625).epsilon(0.05));
}

TEST_CASE("least_request: with unequal weights, too, who has more to do gets less") {
  WithState cluster({3, 1});
  AvailableEndpoints available({.ejects = true}, &cluster.shared);
  available.refresh(cluster.members);
  LeastRequest balancer(3);
  std::vector<EndpointUse> uses;
  for (int i = 0; i < 400; ++i) {
    uses.emplace_back(*cluster.members->endpoints[balancer.choose(available, 0)]);
  }
  CHECK(cluster.state(0).active() == doctest::Approx(300).epsilon(0.02));
  // What hangs with all that gets nothing while the other one has less for its weight.
  std::vector<EndpointUse> others;
  for (std::size_t i = 0; i < 40; ++i) others.emplace_back(*cluster.members->endpoints[0]);
  while (cluster.state(1).active() * 3 + 3 < cluster.state(0).active()) {
    REQUIRE(balancer.choose(available, 0) == 1);
    uses.emplace_back(*cluster.members->endpoints[1]);
  }
}

TEST_CASE("least_request: who has more to do for its weight gets less") {
  WithState cluster({1, 1});
  AvailableEndpoints available({.ejects = true}, &cluster.shared);
  available.refresh(cluster.members);
  LeastRequest balancer(3);
  std::vector<EndpointUse> uses;
  for (int i = 0; i < 200; ++i) {
    uses.emplace_back(*cluster.members->endpoints[balancer.choose(available, 0)]);
  }
  CHECK(cluster.state(0).active() == 100);  // two draws of two are both: exact
  CHECK(cluster.state(1).active() == 100);
  uses.clear();
  CHECK(cluster.state(0).active() == 0);
}

TEST_CASE("every policy: only available endpoints are chosen, a single one always") {
  for (const LbPolicy policy : {LbPolicy::RoundRobin, LbPolicy::LeastRequest, LbPolicy::Random,
                                LbPolicy::RingHash, LbPolicy::Maglev}) {
    CAPTURE(static_cast<int>(policy));
    WithState cluster({1, 3, 1, 1, 2});
    add_table(*cluster.members, policy);
    AvailableEndpoints available({.ejects = true}, &cluster.shared);
    const auto balancer = LoadBalancer::make(policy, 1);
    for (const std::size_t down : {1, 4, 0, 3}) {
      cluster.eject(down, monotonic_ns() + kHourNs);
      available.refresh(cluster.members);
      for (std::uint64_t i = 0; i < 500; ++i) {
        CHECK(available.contains(balancer->choose(available, mix_hash(i))));
      }
    }
    CHECK(available.candidates().size() == 1);
  }
}

TEST_CASE("hashing: shares follow the weights") {
  for (const LbPolicy policy : kHashing) {
    AvailableEndpoints available({}, nullptr);
    const auto members = members_of({1, 1, 2, 4});
    add_table(*members, policy);
    available.refresh(members);
    ConsistentHash balancer;
    const auto parts = shares(balancer, available, 100'000);
    const double tolerance = policy == LbPolicy::Maglev ? 0.03 : 0.3;
    CHECK(parts[0] == doctest::Approx(0.125).epsilon(tolerance));
    CHECK(parts[2] == doctest::Approx(0.25).epsilon(tolerance));
    CHECK(parts[3] == doctest::Approx(0.5).epsilon(tolerance));
  }
}

TEST_CASE("hashing: when an endpoint comes or goes, few others' clients move") {
  using Weights = std::vector<std::uint32_t>;
  for (const auto& [policy, weights] : {std::pair(LbPolicy::RingHash, Weights(10, 1)),
                                        {LbPolicy::Maglev, Weights(10, 1)},
                                        {LbPolicy::RingHash, {1, 1, 1}},
                                        {LbPolicy::RingHash, {3, 1, 10, 2, 7}}}) {
    constexpr int kClients = 20'000;
    const auto ten = members_of(weights);
    const auto nine = members_of(Weights(weights.begin(), weights.end() - 1));
    add_table(*ten, policy);
    add_table(*nine, policy);
    AvailableEndpoints before({}, nullptr);
    AvailableEndpoints after({}, nullptr);
    before.refresh(ten);
    after.refresh(nine);
    const auto at_first = homes(before, kClients);
    const auto then = homes(after, kClients);
    const std::string gone = ten->endpoints.back()->address.text();
    int moved = 0;
    for (std::size_t i = 0; i < kClients; ++i) {
      if (at_first[i] != gone && at_first[i] != then[i]) ++moved;
    }
    // The ring moves nobody else; maglev's table a few.
    CHECK(moved <= (policy == LbPolicy::RingHash ? 0 : kClients / 20));
  }
}

TEST_CASE("hashing: clients of an ejected endpoint spread over the others, and come back") {
  for (const LbPolicy policy : kHashing) {
    constexpr int kClients = 5'000;
    WithState cluster(std::vector<std::uint32_t>(8, 1));
    add_table(*cluster.members, policy);
    AvailableEndpoints available({.ejects = true}, &cluster.shared);
    available.refresh(cluster.members);
    const auto at_first = homes(available, kClients);
    const std::string ejected = cluster.members->endpoints[2]->address.text();
    cluster.eject(2, monotonic_ns() + kHourNs);
    available.refresh(cluster.members);
    const auto meanwhile = homes(available, kClients);
    std::set<std::string> havens;
    for (std::size_t i = 0; i < kClients; ++i) {
      if (at_first[i] == ejected) {
        havens.insert(meanwhile[i]);
      } else {
        CHECK(at_first[i] == meanwhile[i]);
      }
    }
    CHECK(havens.size() == 7);
    cluster.eject(2, 0);
    available.refresh(cluster.members);
    CHECK(homes(available, kClients) == at_first);
  }
}

TEST_CASE("hashing: the tables are the same in every build") {
  // Changing what this yields moves every client at the reload that brings it.
  const auto members = members_of({1, 2, 3});
  add_table(*members, LbPolicy::RingHash);
  add_table(*members, LbPolicy::Maglev);
  const auto any = [](std::size_t) { return true; };
  std::string ring;
  std::string maglev;
  for (int i = 0; i < 16; ++i) {
    const std::uint64_t hash = hash_of_text("client " + std::to_string(i));
    ring += static_cast<char>('a' + members->ring->find(hash, any));
    maglev += static_cast<char>('a' + members->maglev->find(hash, any));
  }
  CHECK(ring == "bbcbbabbabbccbaa");
  CHECK(maglev == "ccaccccbbcbcacbc");
}

TEST_CASE("maglev: the order in which endpoints are written down does not matter") {
  const auto members = members_of({1, 2, 3, 1, 7, 1, 1, 2, 1, 30, 1, 4});
  add_table(*members, LbPolicy::Maglev);
  AvailableEndpoints available({}, nullptr);
  available.refresh(members);
  const auto as_written = homes(available, 20'000);
  std::mt19937 random(5);
  for (int i = 0; i < 3; ++i) {
    const auto shuffled = std::make_shared<ClusterMembers>(*members);
    std::ranges::shuffle(shuffled->endpoints, random);
    add_table(*shuffled, LbPolicy::Maglev);
    available.refresh(shuffled);
    CHECK(homes(available, 20'000) == as_written);
  }
}

TEST_CASE("maglev: one heavy endpoint among many makes no more work") {
  const auto seconds_for = [](const std::shared_ptr<ClusterMembers>& members) {
    const std::clock_t begin = std::clock();
    add_table(*members, LbPolicy::Maglev);
    return static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  };
  std::vector<std::uint32_t> weights(10'000, 1);
  const double even = seconds_for(members_of(weights));
  weights[5000] = 65'535;
  const auto members = members_of(weights);
  // By turns of everybody it was a hundred times as much.
  CHECK(seconds_for(members) < 20 * even);
  AvailableEndpoints available({}, nullptr);
  available.refresh(members);
  ConsistentHash balancer;
  const auto parts = shares(balancer, available, 100'000);
  CHECK(parts[5000] == doctest::Approx(65'535.0 / 75'534).epsilon(0.01));
}

TEST_CASE("maglev: an endpoint without a place is found all the same") {
  auto weights = std::vector<std::uint32_t>(500, 1000);
  weights.push_back(1);
  WithState cluster(weights);
  add_table(*cluster.members, LbPolicy::Maglev);
  for (std::size_t i = 0; i < 500; ++i) cluster.eject(i, monotonic_ns() + kHourNs);
  AvailableEndpoints available({.ejects = true}, &cluster.shared);
  available.refresh(cluster.members);
  ConsistentHash balancer;
  CHECK(balancer.choose(available, 12345) == 500);
}

TEST_CASE("hash of a client: the address counts, the port does not") {
  const auto hash = [](const char* text) {
    return hash_of_client(*os::SocketAddress::parse(text));
  };
  CHECK(hash("10.0.0.1:1") == hash("10.0.0.1:2"));
  CHECK(hash("10.0.0.1:1") != hash("10.0.0.2:1"));
  CHECK(hash("[::1]:1") == hash("[::1]:2"));
  CHECK(hash("[::1]:1") != hash("[::2]:1"));
}
