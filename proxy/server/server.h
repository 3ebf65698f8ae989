// The traffic side of a generation: its workers, listening sockets and admin listener, and what can
// be asked of them. Who asks is another matter: the supervisor (supervised.h) or a signal
// (standalone.h).
//
// Thread: main. Owns: configuration, statistics, sockets, workers. Borrows: the main loop.
// Order of calls: construct, sockets().add()..., take_narrower(), bind_missing(), start_workers(),
// warm_up(), bind_delayed(), serve(); then pause(), resume() and drain() as lifecycle.h allows.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "proto/types.pb.h"
#include "proxy/admin/admin_server.h"
#include "proxy/config/config.h"
#include "proxy/http/access_log/access_logs.h"
#include "proxy/server/listening_sockets.h"
#include "proxy/server/session_channel.h"
#include "proxy/stats/stats_store.h"
#include "proxy/worker/event_loop.h"
#include "proxy/worker/worker_pool.h"
#include "shared/os/error.h"

namespace baton::proxy {

struct ServerOptions {
  EventLoop* loop = nullptr;
  Config config;
  std::unique_ptr<StatsStore> stats;
  std::unique_ptr<http::AccessLogs> access_logs;  // open_access_logs()
  std::uint64_t generation = 0;
  std::string version;
  MoveHooks move_hooks;
  AdminServer::StatsSource stats_source;  // how the admin listener gets its text
  SendRings rings;                        // make_send_rings()
};

// Opens every access log that the configuration names; error: one that cannot be.
os::Result<std::unique_ptr<http::AccessLogs>> open_access_logs(const Config& config,
                                                               StatsStore& stats);

class Server {
 public:
  using Done = std::function<void()>;

  explicit Server(ServerOptions options);
  ~Server();

  // What the configuration asks for, and what take_narrower() has found.
  const std::vector<WantedSockets>& wanted() const { return wanted_; }
  // "db 127.0.0.1:5432", for `status`.
  std::vector<std::string> listener_names() const;
  ListeningSockets& sockets() { return sockets_; }
  StatsStore& stats() { return *stats_; }

  // TCP sockets that are here, of addresses which the configuration does not name, but of whose
  // port it has a wildcard listener: that one accepts on them as well, from the next serve() on.
  void take_narrower();
  os::Result<void> bind_missing() { return sockets_.bind_missing(wanted_); }
  // The last ones, right before serve(): see ListeningSockets::bind_delayed().
  os::Result<std::vector<const ListeningSocket*>> bind_delayed() {
    return sockets_.bind_delayed(wanted_);
  }
  // The first threads of the process: before them it gives up what capabilities it needs no more.
  void start_workers();
  // `done`: endpoints and their health are known, or the time for that is up; may be at once.
  void warm_up(Done done);
  void hurry();  // does not wait for that, now or later

  // Listens and accepts on every socket of the configuration; `done` once every worker does. Also
  // after pause(), and after sockets were added. An error leaves what already accepts accepting.
  os::Result<void> serve(Done done);
  // Stops accepting on sockets of these keys; their queues are kept.
  void pause(const std::vector<proto::SocketKey>& shared, Done done);
  // How connections are to end; before drain(), and again when that is re-tuned.
  void set_drain(std::chrono::milliseconds time, DrainStrategy strategy);
  // Lets go of the `kept` sockets (the next generation has them), accepts the others' queues empty
  // and closes all of them, each address by itself.
  void drain(const std::vector<proto::SocketKey>& kept, Done done);
  // Begins to hand connections to the next generation, which has so many workers (0: it does not
  // say); returns its ends of channels, the i-th for its worker i % their_workers.
  std::vector<os::UniqueFd> depart(std::size_t their_workers);
  void welcome(std::vector<os::UniqueFd> channels, const os::UniqueFd& old_process);
  // What can move does so now: nothing more will once it is `done`, within about a second.
  void finish_moving(Done done) { workers_->finish_moving(std::move(done)); }
  // Called once everything that could move has had its chance, or about a second is over.
  void when_moved(Done done) { workers_->when_moved(std::move(done)); }
  bool moves_connections() const { return config_.move_connections; }
  std::size_t workers() const { return workers_->size(); }

  // UDP sessions. Old, after pause() of these keys: lends them to a generation with so many
  // workers. At the commit, or else at a rollback, the loan ends.
  std::vector<SessionChannel> lend_sessions(const std::vector<proto::SocketKey>& paused,
                                            std::size_t their_workers);
  void commit_sessions() { workers_->commit_sessions(); }
  void take_sessions_back() { workers_->take_sessions_back(); }
  // New, before serve(): nothing is read from UDP sockets until the sessions are here, or none
  // come.
  void hold_datagrams() { workers_->hold_datagrams(); }
  void borrow_sessions(std::vector<SessionChannel> channels);
  void read_datagrams() { workers_->read_datagrams(); }
  // Calls `empty` once no connection is left, and none can come from the generation before.
  void when_empty(Done empty);
  void cut_connections(Done done);
  void reopen_logs();
  // Each worker's loop has answered.
  void ping(Done done);
  std::uint64_t connections() const;

 private:
  // The worker sockets of all listeners whose key is (not) among `keys`.
  enum class Select { Among, NotAmong };
  std::vector<WorkerSocket> select(const std::vector<proto::SocketKey>& keys, Select mode) const;
  const WantedSockets& wanted_by_admin() const { return wanted_[config_.listeners.size()]; }
  bool admin_among(const std::vector<proto::SocketKey>& keys) const;

  EventLoop& loop_;
  const Config config_;
  std::unique_ptr<StatsStore> stats_;
  std::unique_ptr<http::AccessLogs> access_logs_;
  // First those of the configuration: listeners in order, the admin's, if any, last of them.
  std::vector<WantedSockets> wanted_;
  const std::size_t configured_;  // how many of them
  ListeningSockets sockets_;
  std::unique_ptr<WorkerPool> workers_;
  std::unique_ptr<AdminServer> admin_;
};

}  // namespace baton::proxy
