// One connection to an endpoint as HTTP uses it: idle in its pool, or serving a request. It is
// watched for input all its life, so that going from one to the other costs no system call.
//
// Thread: its worker's. Owns: the socket and its watcher. Borrows: the pool (outlives it), the
// user. Invariant: without a user nothing may arrive; what does ends it.
#pragma once

#include <boost/intrusive/list.hpp>
#include <ev++.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>

#include "proxy/network/connection.h"
#include "proxy/network/tunnel_state.h"
#include "proxy/upstream/circuit_breaker.h"
#include "proxy/upstream/endpoint.h"
#include "proxy/worker/timeout_queue.h"

namespace baton::proxy::http {

class UpstreamPool;

class UpstreamConnection final : public boost::intrusive::list_base_hook<
                                     boost::intrusive::link_mode<boost::intrusive::auto_unlink>>,
                                 private ConnectionSink {
 public:
  // The request on it. A user may hand the connection back from within any of these.
  class User {
   public:
    // `data` is the worker's scratch buffer; what is left in it is lost. With EndOfStream::Yes the
    // endpoint has closed.
    virtual void on_upstream_data(Buffer& data, EndOfStream end) = 0;
    virtual void on_upstream_failed() = 0;
    virtual void on_upstream_flushed() = 0;

   protected:
    ~User() = default;
  };

  struct Options {
    ev::loop_ref loop;
    Buffer& scratch;
    const ByteCounters& counters;
    UpstreamPool& pool;
  };

  UpstreamConnection(const Options& options, os::UniqueFd socket,
                     std::shared_ptr<const Endpoint> endpoint, CircuitGuard circuit);
  // One that has come, idle, from another process: frozen until thaw().
  UpstreamConnection(const Options& options, LegState leg, std::shared_ptr<const Endpoint> endpoint,
                     std::uint32_t requests_served);
  ~UpstreamConnection() = default;
  UpstreamConnection(const UpstreamConnection&) = delete;
  UpstreamConnection& operator=(const UpstreamConnection&) = delete;

  const std::shared_ptr<const Endpoint>& endpoint() const { return endpoint_; }
  int fd() const { return leg_.fd.get(); }
  CoarseClock::time_point last_activity() const { return leg_.last_activity; }
  // For so long the endpoint keeps it without a request; it has said so in a response.
  void endpoint_keeps(std::chrono::seconds time);
  std::chrono::milliseconds kept() const { return keep_; }  // max(): it has not said
  // Another process may hold the socket, too (LegState::shared).
  void set_shared() { leg_.shared = true; }
  bool shared() const { return leg_.shared; }
  // How many requests it has served before this one.
  std::uint32_t requests_served() const { return requests_served_; }
  // Both ends are open, nothing waits to be sent, and nothing was received that nobody wants.
  bool reusable() const {
    return connection_.started() && !leg_.read_ended && connection_.all_sent() && !write_failed_;
  }
  // Whether nothing waits to be read, not even the end; a system call.
  bool is_quiet() const;

  void use(User& user) { user_ = &user; }

  // A failure means that the endpoint has gone. Reading tells so, and before that what it had said:
  // it may answer in full and close while the request is still being sent. But a reset is told once
  // only: what reading takes for an orderly end then is none.
  void write(std::string_view bytes);
  bool was_reset() const { return was_reset_; }
  bool write_failed() const { return write_failed_ || connection_.failed(); }
  // Changes as the endpoint takes what was sent, and says nothing else. A system call.
  std::uint64_t taken_bytes() const { return leg_.sent_bytes - unacknowledged(leg_.fd.get()); }
  // Something that was sent is not with the endpoint yet. A system call.
  bool holds_bytes() const { return leg_.waiting_bytes() > 0; }
  bool full() const { return connection_.full(); }
  void pause() { connection_.pause(PauseReason::Filter); }
  void resume() { connection_.resume(PauseReason::Filter); }
  bool received_anything() const { return leg_.received_bytes != received_before_; }

  // For a tunnel: the socket leaves, out of epoll, with what has not been sent yet; and so does the
  // place among the cluster's connections.
  LegState release();
  CircuitGuard take_circuit() { return std::exchange(circuit_, CircuitGuard()); }

 private:
  friend class UpstreamPool;

  void on_received(Buffer& data, EndOfStream end) override;
  void on_failed() override;
  void on_write_failed(int error) override;
  void on_flushed() override;
  void on_idle_timeout();
  void begin_idle();

  UpstreamPool& pool_;
  std::shared_ptr<const Endpoint> endpoint_;
  CircuitGuard circuit_;
  LegState leg_;
  Connection connection_;
  User* user_ = nullptr;
  bool write_failed_ = false;
  bool was_reset_ = false;
  Timeout idle_timeout_;
  // Among all idle ones of the pool, in the order of their last use.
  boost::intrusive::list_member_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>
      idle_order_;
  std::chrono::milliseconds keep_ = std::chrono::milliseconds::max();  // idle, at most
  std::uint64_t received_before_ = 0;  // of leg_.received_bytes: before this request
  std::uint32_t requests_served_ = 0;
};

}  // namespace baton::proxy::http
