// What is counted of connections that move: on each worker's lane, and for `status` in the
// generation's row.
// Thread: its worker's; made on the main thread before that runs.
#pragma once

#include <array>
#include <cstdint>

#include "proto/move.pb.h"
#include "proxy/stats/stats_store.h"

namespace baton::proxy {

class MoveCounters {
 public:
  MoveCounters(StatsStore& store, StatsLane& lane);

  void moved_out(std::uint64_t connections) { store_.count_moved_out(connections); }
  void moved_in(std::uint64_t connections);
  // Idle connections to endpoints, which are in none of the other counts.
  void upstreams_moved(std::uint64_t connections) { upstreams_moved_total_.add(connections); }
  // By the next generation, for this reason.
  void rejected(proto::MoveVerdict reason);
  // Offered, and taken back because the next generation did not answer, or died.
  void returned(std::uint64_t connections) { returned_total_.add(connections); }

 private:
  static constexpr std::size_t kReasons = proto::MoveVerdict_ARRAYSIZE;

  StatsStore& store_;
  region::Counter moved_total_;
  region::Counter upstreams_moved_total_;
  region::Counter returned_total_;
  std::array<region::Counter, kReasons> rejected_total_;
};

}  // namespace baton::proxy
