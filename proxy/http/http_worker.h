// What all HTTP listeners of one worker share.
// Thread: its worker's; context_of() also main, before the worker runs.
#pragma once

#include <boost/intrusive/list.hpp>
#include <ev++.h>

#include <ctime>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/http/router/upstream_request.h"
#include "proxy/worker/loop_clock.h"
#include "proxy/worker/timeout_queue.h"

namespace baton::proxy {
class StatsLane;   // proxy/stats/stats_store.h
class StatsStore;  // proxy/stats/stats_store.h
}  // namespace baton::proxy

namespace baton::proxy::http {

class Stream;

class HttpWorker {
 public:
  struct Options {
    ev::loop_ref loop;
    Buffer& scratch;  // the worker's receive buffer
    StatsStore& stats;
    StatsLane& lane;
  };

  explicit HttpWorker(const Options& options);
  ~HttpWorker();
  HttpWorker(const HttpWorker&) = delete;
  HttpWorker& operator=(const HttpWorker&) = delete;

  ev::loop_ref loop() const { return options_.loop; }
  TimeoutQueues& timeouts() { return timeouts_; }
  LoopClock& clock() { return clock_; }
  // For what goes to clients; empty between two events.
  Buffer& response_out() { return response_out_; }
  // Pool and statistics of a cluster; made when asked for, valid as long as this.
  UpstreamRequest::Context& context_of(Cluster& cluster);
  // The value of a Date header now (RFC 9110 section 5.6.7).
  std::string_view date();

  // Streams are large and short-lived: a few of them are kept.
  std::unique_ptr<Stream> take_stream();
  // It has ended, perhaps further up on the stack: used again only after this event.
  void retire(std::unique_ptr<Stream> stream);
  // What it is set to is called when this event is over.
  void run_soon(Timeout& timeout);

  // Of a cluster that any HTTP listener leads to; null: none does.
  UpstreamPool* find_pool(std::string_view cluster) const;
  // `visit(UpstreamPool&)`
  template <class Visit>
  void for_each_pool(Visit visit) {
    for (auto& [cluster, use] : clusters_) visit(use->pool);
  }

 private:
  struct ClusterUse {
    ClusterUse(HttpWorker& worker, Cluster& cluster);

    UpstreamPool pool;
    UpstreamRequest::Context context;
  };
  static constexpr std::size_t kSpareStreams = 64;

  void run_due();
  void reap(ev::prepare& watcher, int events);

  Options options_;
  TimeoutQueues timeouts_;
  LoopClock clock_;
  Buffer request_out_;
  Buffer response_out_;
  std::map<Cluster*, std::unique_ptr<ClusterUse>> clusters_;
  std::vector<std::unique_ptr<Stream>> spare_;
  std::vector<std::unique_ptr<Stream>> retired_;
  boost::intrusive::list<Timeout, boost::intrusive::constant_time_size<false>> soon_;
  ev::prepare soon_event_;  // never started: raised by hand, and handled before the loop sleeps
  ev::prepare reaper_;      // active while something is in retired_
  std::time_t date_second_ = 0;
  std::string date_;
};

}  // namespace baton::proxy::http
