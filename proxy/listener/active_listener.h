// One stream listener on one worker: accepts on its sockets and holds the connections they brought.
//
// Accepting stops, for all its sockets and with clients waiting in their queues, while
//  - max_connections is reached and a client waits: looked at again when a connection of this
//    worker ends, and every few milliseconds because another worker or generation may have room
//    again, and sooner, without a count, while connections arrive from the generation before or
//    when another worker looked at the same time;
//  - this process is short of memory or descriptors, of which the last kFdReserve are not for
//    clients: for a short while.
//
// max_connections holds exactly over all workers and generations that share the region, without a
// lock: see may_accept().
//
// Thread: its worker's. Owns: sessions and watchers. Borrows: listening sockets, everything in
// Options (all outlive it).
#pragma once

#include <boost/intrusive/list.hpp>
#include <ev++.h>

#include <chrono>
#include <memory>
#include <string_view>
#include <vector>

#include "proxy/config/config.h"
#include "proxy/filter/network_filter.h"
#include "proxy/listener/client_watch.h"
#include "proxy/listener/connection_limit.h"
#include "proxy/listener/held_connections.h"
#include "proxy/listener/listener_metrics.h"
#include "proxy/listener/session.h"
#include "proxy/listener/worker_listener.h"
#include "proxy/stats/stats_store.h"

namespace baton::proxy {

class ActiveListener final : public WorkerListener, private Session::Owner {
 public:
  struct Options {
    ev::loop_ref loop;
    Buffer& scratch;
    const ListenerMetrics& metrics;
    ConnectionLimit& limit;
    HeldConnections& held;
    FilterContext filters;
  };

  explicit ActiveListener(const Options& options);
  ~ActiveListener() override;
  ActiveListener(const ActiveListener&) = delete;
  ActiveListener& operator=(const ActiveListener&) = delete;

  void accept_on(int fd) override;
  void release(int fd) override;
  // Keeps new handshakes out (stop_handshakes.h), leaves those in progress a short while, then
  // accepts until the queue is empty. Nobody who has connected is reset.
  void retire(int fd, Done done) override;
  // Filters ask the worker's DrainState themselves, at their boundaries.
  void drain() override {}
  void cut_connections() override;

  using Sessions = boost::intrusive::list<Session>;
  // Those that board come first.
  Sessions& sessions() { return sessions_; }

  // A connection on its way to another process, frozen: nobody cuts it in between. It comes back by
  // put_back(), thawed, or is gone by has_moved(), which closes this process's copies of its
  // sockets and nothing else.
  void take_out(Session& session);
  void put_back(Session& session);
  void has_moved(Session& session);
  // One that boards goes on here: it is not moved after all.
  void let_go_on(Session& session);
  // A connection from another process. Null: it cannot go on here. It belongs to the caller,
  // frozen, and is held by this worker, so that a process which drains does not end below it, until
  // it is one of this listener's by admit_moved(), or gone by forget_moved(), which closes this
  // process's copies of its sockets and nothing else.
  std::unique_ptr<Session> restore(TunnelState state, const MoveDetails& details);
  void admit_moved(std::unique_ptr<Session> session);
  void forget_moved(std::unique_ptr<Session> session);

  const ListenerConfig& config() const { return config_; }

 private:
  struct Socket;
  enum class Accepted { One, LastOne, QueueEmpty, Retry, Shortage };

  void on_session_closed(Session& session) override;
  void on_session_boards(Session& session) override;
  void on_session_awaits_nothing(Session& session) override { client_watch_.add(session); }

  Socket* find(int fd);
  void remove(Socket& socket);
  void accept_from(Socket& socket);
  Accepted accept_one(int fd);
  bool may_accept(const Socket& socket);
  void on_limit(int fd, const ConnectionLimit::Look& look);
  void forget_reservation();
  void admit(os::UniqueFd connection, const os::SocketAddress& client);
  void pause(std::chrono::milliseconds time);
  void resume();
  void on_shortage(std::string_view what);
  void reap(ev::prepare& watcher, int events);
  void dispose(Session* session);

  ev::loop_ref loop_;
  const ListenerConfig& config_;
  StatsStore& store_;
  region::MetricId active_id_;
  ListenerStats stats_;
  ConnectionLimit& limit_;
  HeldConnections& held_;
  const DrainState* drain_;
  std::vector<MakeNetworkFilter> filters_;
  Session::Context context_;
  Sessions sessions_;
  Sessions closed_;  // deleted before the loop sleeps
  ClientWatch client_watch_;
  std::vector<std::unique_ptr<Socket>> sockets_;
  ev::timer pause_;
  ev::prepare reaper_;
  bool at_limit_ = false;           // this worker has a client that waits for a place
  const std::uint64_t fd_ceiling_;  // the first descriptor that is not for clients
  bool at_fd_ceiling_ = false;
  std::chrono::steady_clock::time_point last_logged_;
};

}  // namespace baton::proxy
