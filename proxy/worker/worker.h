// One worker thread: a loop, its receive buffer, its lane of statistics, its view of the clusters,
// and every connection it has accepted, for life.
//
// Thread: built and destroyed by the main thread while no thread runs; in between everything but
// connections() happens on the worker's own.
// Borrows: everything in Options (all outlive it).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "proxy/config/config.h"
#include "proxy/http/http_worker.h"
#include "proxy/listener/active_listener.h"
#include "proxy/listener/worker_listener.h"
#include "proxy/move/arrivals.h"
#include "proxy/move/departures.h"
#include "proxy/move/session_loans.h"
#include "proxy/stats/stats_store.h"
#include "proxy/udp/datagram_batch.h"
#include "proxy/udp/udp_listener.h"
#include "proxy/upstream/cluster_manager.h"
#include "proxy/upstream/cluster_set.h"
#include "proxy/worker/drain_state.h"
#include "proxy/worker/event_loop.h"
#include "proxy/worker/worker_pool.h"

namespace baton::proxy {

class Worker {
 public:
  // One recv takes at most this much. Measured: more leaves the processor's cache and costs bulk
  // transfers 15 %, less costs them system calls.
  static constexpr std::size_t kScratchBytes = std::size_t{32} * 1024;

  struct Options {
    std::size_t index = 0;
    EventLoop& loop;
    const WorkerPoolOptions& pool;
    // In the order of the configuration.
    std::span<const ListenerMetrics> listeners;
    std::span<ConnectionLimit> limits;  // of the same listeners
    ClusterManager& clusters;
  };

  explicit Worker(const Options& options);
  ~Worker();  // stops and joins the thread; connections that are left are cut
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void start();
  void post(EventLoop::Task task) { loop_.post(std::move(task)); }
  std::uint64_t connections() const { return held_.count(); }

  // On the worker's thread:
  WorkerListener& listener(std::size_t index) { return *listeners_[index]; }
  void cut_connections();
  // Connections end at their next message boundary, as the strategy says. Again: re-tuned.
  void drain(std::chrono::milliseconds time, DrainStrategy strategy);
  HeldConnections& held() { return held_; }
  // Hands connections to the next generation's workers at the other ends; again: to a later one's.
  void depart(std::vector<os::UniqueFd> channels);
  // Departures::finish(); `done` is called at once if there is nobody to hand them to.
  void finish_moving(std::function<void()> done);
  // Takes those of the worker of the generation before that is at the other end.
  void welcome(os::UniqueFd channel, os::UniqueFd old_process);
  // Takes none any more.
  void refuse_arrivals();
  SessionLoans& loans() { return loans_; }

 private:
  WorkerListener& add_listener(const Options& options, std::size_t index);

  std::size_t index_;
  EventLoop& loop_;
  std::unique_ptr<StatsLane> lane_;
  Buffer scratch_;
  ClusterSet clusters_;
  DrainState drain_;
  http::HttpWorker http_;
  HeldConnections held_;
  std::unique_ptr<udp::DatagramBatch> batch_;  // null: no listener needs it
  std::vector<std::unique_ptr<ActiveListener>> streams_;
  std::vector<std::unique_ptr<udp::UdpListener>> datagrams_;
  std::vector<WorkerListener*> listeners_;  // both kinds, in the order of the configuration
  MoveCounters move_counters_;
  const MoveHooks& hooks_;
  SessionLoans loans_;
  std::vector<std::unique_ptr<Departures>> departures_;  // the last one offers
  std::vector<std::unique_ptr<Arrivals>> arrivals_;
  bool refuses_arrivals_ = false;
  std::thread thread_;
};

}  // namespace baton::proxy
