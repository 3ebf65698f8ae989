// The worker threads as the main thread sees them: every call is carried out on each worker's loop,
// and `done` runs on the main loop once all workers have done it.
//
// Thread: main. Owns: the workers, their threads, loops and connections. Borrows: the main loop,
// configuration, statistics (all outlive it) and listening sockets: the caller closes one only
// after release() or retire() of it is done. Invariant: a socket is watched by exactly one worker,
// except where a stream listener's address has fewer than there are workers (a unix socket, one
// that a service manager has passed): then all of them watch each.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "proxy/config/config.h"
#include "proxy/move/move_hooks.h"
#include "proxy/stats/stats_store.h"
#include "proxy/upstream/cluster_manager.h"
#include "proxy/worker/drain_state.h"
#include "proxy/worker/event_loop.h"

namespace baton::proxy {

namespace http {
class AccessLogs;  // proxy/http/access_log/access_logs.h
}

// A listening socket and who serves it.
struct WorkerSocket {
  std::size_t listener = 0;  // index in Config::listeners
  std::uint32_t index = 0;   // of the socket: worker (index % workers) serves it, or all do
  std::size_t of = 1;        // how many its address has
  int fd = -1;               // borrowed
};

struct WorkerPoolOptions {
  EventLoop* main_loop = nullptr;
  const Config* config = nullptr;
  StatsStore* stats = nullptr;
  std::uint64_t generation = 0;
  std::string version;
  MoveHooks move_hooks;
  http::AccessLogs* access_logs = nullptr;  // with every log that the configuration names, open
  SendRings rings;                          // one for each worker, as far as they go
};

class WorkerPool {
 public:
  using Done = std::function<void()>;

  explicit WorkerPool(WorkerPoolOptions options);
  ~WorkerPool();  // cuts what is left, stops and joins the threads

  std::size_t size() const;
  // Owned by the pool: workers read what it publishes.
  ClusterManager& clusters();

  // Starts the threads, idle. Warm-up: everything that can be built before the first connection is.
  void start();
  // Watches these sockets and accepts on them. A socket already watched is left alone.
  void accept_on(std::vector<WorkerSocket> sockets, Done done);
  // Stops accepting on these: removed from epoll explicitly, queues kept, nothing closed.
  void release(std::vector<WorkerSocket> sockets, Done done);
  // Accepts on these until their queues are empty, then as release().
  void retire(std::vector<WorkerSocket> sockets, Done done);
  // Calls `empty` on the main loop as soon as no worker holds a connection (at once if none does).
  // Once asked for, workers refuse no connection: those accepted later just postpone it.
  void when_empty(Done empty);
  // Connections end at their next message boundary, as the strategy says. Again: re-tuned.
  void drain(std::chrono::milliseconds time, DrainStrategy strategy);
  // Hands all connections to the next generation: the i-th channel is worker i % size()'s. At least
  // one for each.
  void depart(std::vector<os::UniqueFd> channels);
  // What can move is to do so now; `done`: nothing more will, or time is up
  // (Departures::kLastTime).
  void finish_moving(Done done);
  // Once: all that could move has been offered, sessions too, and what is to come of it is known;
  // or as above. After depart() and commit_sessions().
  void when_moved(Done done);
  // Takes those of the generation before: channels of its workers, and its pidfd (may be invalid).
  void welcome(std::vector<os::UniqueFd> channels, const os::UniqueFd& old_process);
  // Takes none any more from when `done` is called on.
  void refuse_arrivals(Done done);

  // UDP sessions, proxy/move/session_loans.h. Old lends those of `sockets`, which are released and
  // one worker's, over the channel.
  void lend_sessions(os::UniqueFd channel, const std::vector<WorkerSocket>& sockets);
  void commit_sessions();
  void take_sessions_back();
  // New reads no datagrams until it has borrowed them: one channel or more for a worker, or none.
  void hold_datagrams();
  void borrow_sessions(std::vector<std::vector<os::UniqueFd>> channels);
  void read_datagrams();

  // Closes every connection now and counts each as cut.
  void cut_connections(Done done);
  // Each worker's loop has run once.
  void ping(Done done);
  // Connections held now, all workers; may be read at any time.
  std::uint64_t connections() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace baton::proxy
