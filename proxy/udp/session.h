// One client's datagrams to one endpoint, and the endpoint's back to the client, each as it came.
//
//   open ── datagrams either way, each begins the idle timeout anew ──► idle: over
//     └─── the endpoint's machine says that nobody is there (ICMP) ───► failed: over
//
// It holds no datagram: what the kernel does not take at once is dropped and counted.
//
// While a generation is on probation it has its predecessor's sessions on loan: it carries their
// datagrams, the predecessor's copies are frozen and stay counted there, ready to go on.
//
// Thread: its worker's. Owns: its state, with the upstream socket. Borrows: everything in Context,
// and the socket it replies through (all outlive it).
#pragma once

#include <ev++.h>

#include <cstdint>
#include <string>

#include "proxy/listener/listener_metrics.h"
#include "proxy/udp/datagram_batch.h"
#include "proxy/udp/flow_table.h"
#include "proxy/udp/session_state.h"
#include "proxy/udp/shared_socket.h"
#include "proxy/udp/udp_metrics.h"
#include "proxy/upstream/cluster.h"
#include "proxy/upstream/endpoint_use.h"
#include "proxy/worker/timeout_queue.h"

namespace baton::proxy::udp {

class Session final : public FlowHook {
 public:
  // Told when a session is over; may destroy it.
  class Owner {
   public:
    virtual void on_idle(Session& session) = 0;
    virtual void on_failed(Session& session) = 0;

   protected:
    ~Owner() = default;
  };
  struct Context {
    ev::loop_ref loop;
    DatagramBatch& batch;
    Cluster& cluster;
    ListenerStats& stats;
    UdpStats& datagrams;
    TimeoutQueue* idle;  // may be exchanged for another one
    Owner& owner;
  };

  // Told when a session that another process has lent is over.
  class Lender {
   public:
    virtual void on_ended(const std::string& listener, const FlowKey& flow) = 0;

   protected:
    ~Lender() = default;
  };

  // `lender`: it is on loan; null: this process's own.
  Session(const Context& context, SessionState state, CircuitGuard circuit, SharedSocket& replies,
          Lender* lender);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  const FlowKey& flow() const { return state_.flow; }
  const SessionState& state() const { return state_; }
  const SharedSocket& replies_through() const { return replies_.socket(); }
  bool on_loan() const { return lender_ != nullptr; }
  Lender* lender() const { return lender_; }
  // The loan is over: it is this process's.
  void keep();

  // The socket that the client's last datagram has come through.
  void reply_through(SharedSocket& socket) { replies_ = SocketUse(socket); }
  // The client's datagrams `begin` to before `end` of the batch. Returns where it stopped because
  // the session has failed, else `end`.
  std::size_t forward(std::size_t begin, std::size_t end);
  // Begins the idle timeout anew, in the queue there is now.
  void touch();
  // Neither reads what the endpoint says nor ends until thaw(): another process does. Out of epoll
  // when this returns. Then the idle timeout goes on from when something passed last.
  void freeze();
  void thaw();
  bool frozen() const { return frozen_; }

 private:
  void on_readable(ev::io& watcher, int events);
  void on_idle() { context_.owner.on_idle(*this); }
  void reply(std::size_t count);
  void stop_watching();

  const Context& context_;
  SessionState state_;
  CircuitGuard circuit_;
  EndpointUse use_;
  SocketUse replies_;
  Timeout idle_;
  ev::io readable_;
  Lender* lender_;
  bool frozen_ = false;
};

}  // namespace baton::proxy::udp
