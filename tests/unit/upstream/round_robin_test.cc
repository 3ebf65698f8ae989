#include "proxy/upstream/round_robin.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/unit/upstream/members.h"

using namespace baton::proxy;
using baton::fixture::WithState;

namespace {

std::shared_ptr<const ClusterMembers> with_weights(const std::vector<std::uint32_t>& weights) {
  auto members = std::make_shared<ClusterMembers>();
  for (const std::uint32_t weight : weights) {
    members->endpoints.push_back(std::make_shared<const Endpoint>(Endpoint{.weight = weight}));
  }
  return members;
}

std::string choices(RoundRobin& balancer, AvailableEndpoints& available,
                    const std::shared_ptr<const ClusterMembers>& members, int count) {
  std::string letters;
  for (int i = 0; i < count; ++i) {
    available.refresh(members);
    letters += static_cast<char>('a' + balancer.choose(available, 0));
  }
  return letters;
}

}  // namespace

TEST_CASE("round robin: in turn, by weight, spread evenly, from the worker's offset on") {
  const struct {
    std::vector<std::uint32_t> weights;
    std::size_t offset;
    std::string expected;
  } rows[] = {
      {{1}, 0, "aaa"},           {{1, 1, 1}, 0, "abcabc"}, {{1, 1, 1}, 1, "bcabca"},
      {{1, 1, 1}, 2, "cabcab"},  {{1, 1, 1}, 3, "abcabc"}, {{3, 1}, 0, "aabaaaba"},
      {{5, 1, 1}, 0, "aaabcaa"}, {{1, 2}, 0, "babbab"},
  };
  for (const auto& row : rows) {
    RoundRobin balancer(row.offset);
    AvailableEndpoints available({}, nullptr);
    CHECK(choices(balancer, available, with_weights(row.weights),
                  static_cast<int>(row.expected.size())) == row.expected);
  }
}

TEST_CASE("round robin: over many turns each endpoint has exactly its share") {
  const std::vector<std::uint32_t> weights{7, 1, 13, 1000, 3};
  RoundRobin balancer(2);
  AvailableEndpoints available({}, nullptr);
  available.refresh(with_weights(weights));
  std::vector<std::uint32_t> counts(weights.size());
  for (int i = 0; i < 1024 * 3; ++i) ++counts[balancer.choose(available, 0)];
  for (std::size_t i = 0; i < weights.size(); ++i) CHECK(counts[i] == weights[i] * 3);
}

TEST_CASE("round robin: members may change between two calls") {
  RoundRobin balancer(0);
  AvailableEndpoints available({}, nullptr);
  CHECK(choices(balancer, available, with_weights({1, 1, 1}), 2) == "ab");
  CHECK(choices(balancer, available, with_weights({1, 1}), 4) == "abab");
  CHECK(choices(balancer, available, with_weights({1}), 2) == "aa");
  CHECK(choices(balancer, available, with_weights({1, 1, 1, 1}), 4) == "bcda");
}

TEST_CASE("round robin: what happens in other clusters does not begin it anew") {
  WithState cluster({3, 1});
  AvailableEndpoints available({.ejects = true}, &cluster.shared);
  RoundRobin balancer(0);
  std::string letters;
  for (int i = 0; i < 8; ++i) {
    cluster.shared.announce(cluster.state(0));
    letters += choices(balancer, available, cluster.members, 1);
  }
  CHECK(letters == "aabaaaba");
}

TEST_CASE("round robin: whoever comes and goes, the others have their shares") {
  WithState cluster({10, 1, 10});
  AvailableEndpoints available({.ejects = true}, &cluster.shared);
  RoundRobin balancer(0);
  std::vector<int> counts(3);
  for (int i = 0; i < 2200; ++i) {
    cluster.eject(2, i % 2 == 0 ? monotonic_ns() + 3'600'000'000'000 : 0);
    available.refresh(cluster.members);
    ++counts[balancer.choose(available, 0)];
  }
  CHECK(counts[0] == doctest::Approx(10 * counts[1]).epsilon(0.1));
}

TEST_CASE("round robin: new members around those that stay take nobody's turn away") {
  auto members = std::make_shared<ClusterMembers>(*with_weights({3, 1}));
  AvailableEndpoints available({}, nullptr);
  RoundRobin balancer(0);
  std::string letters;
  for (int i = 0; i < 8; ++i) {
    members = std::make_shared<ClusterMembers>(*members);
    letters += choices(balancer, available, members, 1);
  }
  CHECK(letters == "aabaaaba");
}

TEST_CASE("round robin: weights that grow with each turn leave everybody some") {
  RoundRobin balancer(0);
  AvailableEndpoints available({}, nullptr);
  const auto constant = std::make_shared<const Endpoint>(Endpoint{.weight = 1});
  const auto growing = std::make_shared<Endpoint>(Endpoint{.weight = 1});
  std::vector<int> counts(2);
  for (int i = 0; i < 1000; ++i) {
    ++growing->weight;
    auto members = std::make_shared<ClusterMembers>();
    members->endpoints = {constant, growing};
    available.refresh(members);
    ++counts[balancer.choose(available, 0)];
  }
  CHECK(counts[0] >= 3);  // its weight is a few thousandths
  CHECK(counts[1] > 900);
}
