// Which endpoints of a cluster may get traffic now, and with what weight, as one worker sees it.
//
// refresh() costs two comparisons unless something has changed: the members, anybody's health or
// ejection in any generation (SharedState::epoch()), or a time that was waited for (the end of an
// ejection, the next step of a slow start). So a choice never looks at more than what it chooses
// from, and an ejection counts from the next choice on, everywhere.
//
//   available = not ejected, and healthy if the cluster is checked
//   nobody is, in a checked cluster -> those not ejected that no check has judged yet: all members
//     may be new, and a guess is better than turning clients away
//   candidates = those available of the first priority of which enough are: at least one, and not
//     fewer percent than the panic threshold
//   no priority has enough, with a panic threshold -> all of the first priority are
//
// Thread: one worker's. Borrows: the shared state.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "proxy/upstream/endpoint.h"
#include "proxy/upstream/endpoint_state.h"

namespace baton::proxy {

class SharedState;

struct AvailabilityPolicy {
  bool checked = false;               // health is known by active checks
  bool ejects = false;                // by outlier detection
  std::uint32_t panic_threshold = 0;  // percent
  std::chrono::nanoseconds slow_start{0};
};

class AvailableEndpoints {
 public:
  struct Candidate {
    std::uint32_t index = 0;  // in members().endpoints
    std::uint32_t weight = 1;
    friend bool operator==(const Candidate&, const Candidate&) = default;
  };

  // `shared` null: nothing is known of any endpoint.
  AvailableEndpoints(const AvailabilityPolicy& policy, const SharedState* shared)
      : policy_(policy), shared_(shared) {}

  void refresh(const std::shared_ptr<const ClusterMembers>& members);

  const ClusterMembers& members() const { return *members_; }
  // In the order of the members; empty: nobody may get traffic.
  std::span<const Candidate> candidates() const { return candidates_; }
  // What is available besides, by priority: for who has tried all candidates in vain.
  std::span<const std::uint32_t> fallbacks() const { return fallbacks_; }
  bool contains(std::size_t index) const { return available_[index]; }
  bool equal_weights() const { return equal_weights_; }
  // Entry i: the sum of the weights of candidates 0 to i.
  std::span<const std::uint64_t> weight_sums() const { return weight_sums_; }
  bool panicking() const { return panicking_; }
  // Another number means other members, candidates or weights.
  std::uint64_t version() const { return version_; }

 private:
  using Health = EndpointState::Health;
  void rebuild(std::uint64_t now_ns);
  std::size_t choose(Health health, std::uint64_t now_ns);
  void choose_priority();
  bool is_available(const EndpointState& state, Health health, std::uint64_t now_ns);
  std::uint32_t weight_of(const Endpoint& endpoint, std::uint64_t now_ns);
  void add(std::uint32_t index, std::uint64_t now_ns);

  AvailabilityPolicy policy_;
  const SharedState* shared_;
  std::shared_ptr<const ClusterMembers> members_;
  std::uint64_t epoch_ = 0;
  std::uint64_t recheck_ns_ = 0;
  std::uint64_t version_ = 0;
  bool panicking_ = false;
  bool equal_weights_ = true;
  std::vector<Candidate> candidates_;
  std::vector<Candidate> before_;  // the last rebuild
  std::vector<std::uint32_t> fallbacks_;
  std::vector<std::uint64_t> weight_sums_;
  std::vector<bool> available_;
};

}  // namespace baton::proxy
