// Clusters of made-up endpoints: 10.0.0.1:80 is "a", 10.0.0.2:80 is "b", ...
#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include "proxy/stats/stats_store.h"
#include "proxy/upstream/endpoint.h"
#include "proxy/upstream/endpoint_state.h"
#include "proxy/upstream/shared_state.h"

namespace baton::fixture {

inline os::SocketAddress address_of(std::size_t index) {
  return *os::SocketAddress::parse("10.0." + std::to_string(index / 250) + "." +
                                   std::to_string(index % 250 + 1) + ":80");
}

// `priorities` of the first ones; 0 for the rest.
inline std::shared_ptr<proxy::ClusterMembers> members_of(
    const std::vector<std::uint32_t>& weights, proxy::SharedState* shared = nullptr,
    const std::vector<std::uint16_t>& priorities = {}) {
  auto members = std::make_shared<proxy::ClusterMembers>();
  for (const std::uint32_t weight : weights) {
    const std::size_t index = members->endpoints.size();
    const os::SocketAddress address = address_of(index);
    members->endpoints.push_back(std::make_shared<const proxy::Endpoint>(proxy::Endpoint{
        .address = address,
        .weight = weight,
        .priority = index < priorities.size() ? priorities[index] : std::uint16_t{0},
        .state = shared != nullptr ? shared->state_of("back", address.text()) : nullptr}));
  }
  return members;
}

// A cluster whose endpoints have a state.
struct WithState {
  explicit WithState(const std::vector<std::uint32_t>& weights,
                     const std::vector<std::uint16_t>& priorities = {})
      : members(members_of(weights, &shared, priorities)) {}

  proxy::EndpointState& state(std::size_t index) { return *members->endpoints[index]->state; }
  void set_health(std::size_t index, proxy::EndpointState::Health health) {
    state(index).slot().health.store(static_cast<std::uint32_t>(health));
    shared.announce(state(index));
  }
  void eject(std::size_t index, std::uint64_t until_ns) {
    state(index).slot().ejected_until_ns.store(until_ns);
    shared.announce(state(index));
  }

  std::unique_ptr<proxy::StatsStore> stats = *proxy::StatsStore::open(os::UniqueFd(), 0);
  proxy::SharedState shared{*stats};
  std::shared_ptr<proxy::ClusterMembers> members;
};

}  // namespace baton::fixture
