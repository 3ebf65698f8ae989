// Takes over connections from a worker of the generation before: builds each as it is prepared,
// does no I/O on it, and starts it once it is committed, or once the process that offered it has
// died, so that nobody else can.
//
// Thread: its worker's. Owns: the channel, connections that are not committed yet.
// Borrows: listeners, pools, counters.
#pragma once

#include <ev++.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "proto/channel.h"
#include "proto/move.pb.h"
#include "proxy/http/http_worker.h"
#include "proxy/listener/active_listener.h"
#include "proxy/move/move_counters.h"
#include "proxy/move/move_hooks.h"

namespace baton::proxy {

class Arrivals {
 public:
  using Listeners = std::vector<std::unique_ptr<ActiveListener>>;
  struct Options {
    ev::loop_ref loop;
    os::UniqueFd channel;
    os::UniqueFd old_process;  // a pidfd; invalid: its death cannot be seen
    const Listeners& listeners;
    http::HttpWorker& http;
    MoveCounters& counters;
    const MoveHooks& hooks;
    std::function<void(Arrivals&)> over;  // the channel has ended; may destroy this
  };

  explicit Arrivals(Options options);
  ~Arrivals();
  Arrivals(const Arrivals&) = delete;
  Arrivals& operator=(const Arrivals&) = delete;

  // This process is about to end: what is offered from now on is refused.
  void refuse() { refusing_ = true; }

  // How long a process that has closed its end may take to be dead.
  static constexpr std::chrono::milliseconds kDeathTime{5000};

 private:
  struct Guest {
    ActiveListener* listener;
    std::unique_ptr<Session> session;
  };
  struct GuestUpstream {
    http::UpstreamPool* pool;
    std::unique_ptr<http::UpstreamConnection> connection;
  };
  struct Batch {
    std::vector<Guest> guests;
    std::vector<GuestUpstream> upstreams;
    bool empty() const { return guests.empty() && upstreams.empty(); }
  };

  bool is_open(std::uint64_t batch) const;
  proto::MoveVerdicts prepare(const proto::MoveBatch& batch, proto::Fds fds);
  proto::MoveVerdict prepare_one(const proto::ConnectionRecord& record, std::span<os::UniqueFd> fds,
                                 Batch& batch);
  proto::MoveVerdict prepare_upstream(const proto::ConnectionRecord& record, os::UniqueFd socket,
                                      Batch& batch) const;
  ActiveListener* listener_of(const proto::ConnectionRecord& record, MoveKind kind,
                              int socket) const;
  void commit(std::uint64_t batch);
  void start(Batch& batch);
  void abort(std::uint64_t batch);
  void abort_all();
  void on_close();
  void on_death();
  void on_still_alive();
  void stop_waiting();

  Options options_;
  std::map<std::uint64_t, Batch> offered_;
  bool refusing_ = false;
  std::uint64_t fd_ceiling_;
  ev::io death_;
  ev::timer patience_;
  proto::Channel channel_;
};

}  // namespace baton::proxy
