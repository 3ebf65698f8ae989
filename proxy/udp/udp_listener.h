// One UDP listener on one worker: reads its sockets' datagrams and holds a session for each client.
//
// The kernel chooses the socket, and so the worker, by both addresses of a datagram: a client stays
// with one worker as long as the number of sockets stays the same.
//
// A new client's datagrams are dropped and counted, and existing sessions go on, while
//  - max_connections sessions exist, over all workers and generations: session_opener.h;
//  - this process is short of descriptors, of which the last kFdReserve are not for clients;
//  - no endpoint may get them.
//
// Once a socket is released or retired, sessions still get their endpoint's replies and send them
// to the client from the listener's address. While draining they end after kDrainIdle of silence,
// because what a client sends reaches the next generation only.
//
// Sessions go to the next generation in two steps. When this one has paused it lends them: its
// copies are frozen, and stay in the flow table and in all counts. At the commit they have_moved(),
// or else they are taken back. On the other side they are borrowed, carry datagrams, and are
// counted once they are kept.
//
// Thread: its worker's. Owns: sessions, copies of the sockets. Borrows: everything in Options (all
// outlive it).
#pragma once

#include <ev++.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "proxy/config/config.h"
#include "proxy/listener/held_connections.h"
#include "proxy/listener/listener_metrics.h"
#include "proxy/listener/worker_listener.h"
#include "proxy/stats/stats_store.h"
#include "proxy/udp/datagram_batch.h"
#include "proxy/udp/flow_table.h"
#include "proxy/udp/session.h"
#include "proxy/udp/session_opener.h"
#include "proxy/udp/shared_socket.h"
#include "proxy/upstream/cluster.h"
#include "proxy/worker/timeout_queue.h"

namespace baton::proxy::udp {

class UdpListener final : public WorkerListener,
                          private Session::Owner,
                          private SharedSocket::Owner {
 public:
  static constexpr std::chrono::milliseconds kDrainIdle{5000};

  struct Options {
    ev::loop_ref loop;
    DatagramBatch& batch;  // the worker's
    const ListenerConfig& config;
    const ListenerMetrics& metrics;
    StatsStore& stats;
    StatsLane& lane;
    HeldConnections& held;
    Cluster& cluster;
  };

  explicit UdpListener(const Options& options);
  ~UdpListener() override;
  UdpListener(const UdpListener&) = delete;
  UdpListener& operator=(const UdpListener&) = delete;

  void accept_on(int fd) override;
  void release(int fd) override;
  void retire(int fd, Done done) override;
  void drain() override;
  void cut_connections() override;

  FlowTable<Session>& sessions() { return sessions_; }
  const std::string& name() const { return name_; }
  const std::string& cluster() const { return context_.cluster.name(); }

  // Datagrams wait in the sockets' queues until read(): the generation before may have sessions to
  // lend. Before accept_on().
  void hold() { holding_ = true; }
  // That generation reads nothing any more.
  void count_held();
  void read();
  // It reads again, having taken its sessions back: nothing is read here, until read(), whatever
  // else begins.
  void yield();

  // By the one that lends. A session that is gone by now is left alone.
  // `was_lent`: new may have carried its datagrams, so its idle time begins again.
  void take_back(const FlowKey& flow, bool was_lent);
  // It has no place and is counted nowhere here any more. When it is destroyed, this process's copy
  // of its socket is closed, and nothing else.
  std::unique_ptr<Session> has_moved(Session& session);
  // It has ended on the other side. One that is back by now goes on.
  void ended_on_loan(const FlowKey& flow);

  // By the one that borrows; `state` with everything but the endpoint, which is found or made by
  // its address. The lender is told if the session ends before keep() or give_back().
  enum class Borrowed : std::uint8_t { Yes, NoSocket, Duplicate };
  Borrowed borrow(SessionState state, const os::SocketAddress& endpoint, std::uint64_t socket,
                  Session::Lender& lender);
  // Those that are gone by now, or not on loan, are left alone. True: it is this listener's.
  bool keep(const FlowKey& flow);
  void give_back(const FlowKey& flow);

 private:
  // SharedSocket::Owner
  void on_readable(SharedSocket& socket) override;
  void on_unused(SharedSocket& socket) override;
  // Session::Owner
  void on_idle(Session& session) override { close(session); }
  void on_failed(Session& session) override;

  SharedSocket* find(int fd);
  void forget(SharedSocket& socket);
  void remove(SharedSocket& socket);
  void deliver(SharedSocket& socket, std::size_t count);
  void forward(SharedSocket& socket, std::size_t begin, std::size_t end);
  Session* open(SharedSocket& socket, std::size_t begin, std::size_t end);
  void close(Session& session);
  void forget(Session& session);
  void give_up_place();

  ev::loop_ref loop_;
  const std::string& name_;
  DatagramBatch& batch_;
  ListenerStats stats_;
  UdpStats datagrams_;
  HeldConnections& held_;
  TimeoutQueue idle_;
  TimeoutQueue drain_idle_;
  Session::Context context_;
  SessionOpener opener_;
  std::vector<std::unique_ptr<SharedSocket>> sockets_;
  FlowTable<Session> sessions_;
  bool holding_ = false;
  bool yielded_ = false;  // holding, for good unless told otherwise
};

}  // namespace baton::proxy::udp
