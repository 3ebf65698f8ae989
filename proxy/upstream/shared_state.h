// The region's runtime part as this process uses it: endpoints' health and rate limits, shared with
// the other generations, or in memory of its own when there is no region or no room in it.
//
// Thread: any. Borrows: the statistics, which hold the region. Outlives every EndpointState.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "proxy/upstream/endpoint_source.h"
#include "proxy/upstream/endpoint_state.h"
#include "shared/region/endpoint_table.h"
#include "shared/region/private_runtime.h"
#include "shared/region/rate_buckets.h"

namespace baton::proxy {

class StatsStore;

class SharedState {
 public:
  explicit SharedState(StatsStore& stats);
  ~SharedState();
  SharedState(const SharedState&) = delete;
  SharedState& operator=(const SharedState&) = delete;

  // What is known of an endpoint; the same object as long as somebody holds it.
  std::shared_ptr<EndpointState> state_of(const std::string& cluster, const std::string& address);

  // The endpoints of a cluster that the generation in charge has found, by a name or in a file:
  // this is it, and says so / what the one before has said.
  void set_found(const std::string& cluster, std::span<const FoundEndpoint> found);
  std::vector<FoundEndpoint> inherited(const std::string& cluster);

  // Changes whenever any endpoint's health or ejection may have, in any generation. Who changes a
  // state announces it.
  std::uint64_t epoch() const {
    return private_->endpoints().epoch() + (shared_ != nullptr ? shared_->epoch() : 0);
  }
  void announce(const EndpointState& state);

  // One limit for all overlapping generations.
  region::RateBuckets& rate_buckets() { return *rate_buckets_; }

 private:
  using Key = std::pair<std::string, std::string>;  // cluster, address

  region::EndpointTable& table_of(const EndpointState& state);
  void let_go(const Key& key, EndpointState* state);

  std::uint32_t slot_;
  region::EndpointTable* shared_ = nullptr;  // null: no region
  std::unique_ptr<region::PrivateRuntime> private_;
  region::RateBuckets* rate_buckets_;
  std::mutex mutex_;
  std::map<Key, std::weak_ptr<EndpointState>> states_;  // guarded by mutex_
};

}  // namespace baton::proxy
