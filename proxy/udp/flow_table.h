// The sessions of one listener on one worker, found by their flow. Intrusive: an entry costs its
// hook and one bucket, and the table owns nothing.
//
// T derives from FlowHook and has `const FlowKey& flow() const`, which stays as it is
// while in the table. Thread: its worker's.
#pragma once

#include <boost/intrusive/unordered_set.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "proxy/udp/flow_key.h"
#include "shared/os/random_seed.h"

namespace baton::proxy::udp {

// Normal link mode: an entry is taken out before it goes. The hash is kept, so that growing reads
// no entry's flow.
using FlowHook = boost::intrusive::unordered_set_base_hook<
    boost::intrusive::store_hash<true>, boost::intrusive::link_mode<boost::intrusive::safe_link>>;

template <class T>
class FlowTable {
 public:
  FlowTable() : buckets_(kFewest), set_({buckets_.data(), buckets_.size()}, Hash{seed_}) {}
  ~FlowTable() { set_.clear(); }
  FlowTable(const FlowTable&) = delete;
  FlowTable& operator=(const FlowTable&) = delete;

  std::size_t size() const { return set_.size(); }
  bool empty() const { return set_.empty(); }

  // nullptr: there is none.
  T* find(const FlowKey& flow) {
    const auto found = set_.find(flow, Hash{seed_}, SameFlow{});
    return found == set_.end() ? nullptr : &*found;
  }
  // Its flow is not there yet.
  void insert(T& entry) {
    if (set_.size() >= buckets_.size()) grow();
    set_.insert(entry);
  }
  void erase(T& entry) { set_.erase(set_.iterator_to(entry)); }

  // `visit` may take out the entry it is given, and no other.
  template <class Visit>
  void for_each(Visit visit) {
    for (auto next = set_.begin(); next != set_.end();) visit(*next++);
  }

 private:
  static constexpr std::size_t kFewest = 64;

  struct FlowOf {
    using type = FlowKey;
    const FlowKey& operator()(const T& entry) const { return entry.flow(); }
  };
  struct Hash {
    std::uint64_t seed;
    std::size_t operator()(const FlowKey& flow) const { return flow.hash(seed); }
  };
  struct SameFlow {
    bool operator()(const FlowKey& a, const FlowKey& b) const { return a == b; }
  };
  using Set = boost::intrusive::unordered_set<
      T, boost::intrusive::base_hook<FlowHook>, boost::intrusive::key_of_value<FlowOf>,
      boost::intrusive::hash<Hash>, boost::intrusive::equal<SameFlow>,
      boost::intrusive::power_2_buckets<true>>;
  using Buckets = std::vector<typename Set::bucket_type>;

  void grow() {
    Buckets larger(buckets_.size() * 2);
    set_.rehash({larger.data(), larger.size()});
    buckets_ = std::move(larger);
  }

  const std::uint64_t seed_ = os::random_seed();
  Buckets buckets_;
  Set set_;
};

}  // namespace baton::proxy::udp
