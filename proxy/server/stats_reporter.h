// Sends what this process counts in private memory to the supervisor, which adds it to the region:
// so nothing is lost when the region is full or has another layout. Reports what has come since the
// last acknowledged report.
//
// Thread: main. Borrows: the store (outlives it) and the channel (until the next).
#pragma once

#include <ev++.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "proto/channel.h"
#include "proto/generation.pb.h"
#include "proxy/stats/stats_store.h"

namespace baton::proxy {

class StatsReporter {
 public:
  StatsReporter(ev::loop_ref loop, StatsStore& store, proto::Channel& supervisor);

  // Reports every second from now on.
  void start();
  // Goes on over another channel, to a supervisor that knows nothing of gauges reported before.
  void go_on(proto::Channel& supervisor);
  // Reports now; `done` once it is acknowledged, or cannot be, or nothing has changed.
  void refresh(std::function<void()> done);
  // A last report; `done` once it is acknowledged, cannot be, or has not been for a while.
  void flush(std::function<void()> done);

 private:
  void on_tick(ev::timer&, int) noexcept;
  void report();
  void flushed();
  proto::StatsDelta delta_since_last() const;
  void acknowledge(const proto::StatsDelta& delta);

  StatsStore& store_;
  proto::Channel* supervisor_;
  ev::timer tick_;
  ev::timer patience_;  // how long a flush may take
  bool in_flight_ = false;
  std::function<void()> after_next_;  // refresh(), until its report is under way
  std::function<void()> after_flush_;
  std::map<std::string, std::vector<std::uint64_t>> reported_;  // name{labels} -> cells
  StatsStore::Moves reported_moves_;
};

}  // namespace baton::proxy
