// One request on its way through a cluster: picks an endpoint, gets a connection, sends, reads the
// answer, and begins again at another endpoint where that is allowed.
//
//   start ─► picking ─► connecting ─► sending ─► head received ─► body ─► done
//              ▲  pooled ──────────────▲   │            (no way back from here)
//              └── retry ◄──┴──────────────┘ failed before a response
//
// A retry needs all that was sent so far, so the head, and the body up to kReplayBytes, are kept
// until the response begins. Sent once more is a request
//  - that found its kept-alive connection closed by the endpoint, or with bytes in it that nobody
//    had asked for, if it is idempotent: once;
//  - for which the route's retry policy says so, within its number and the cluster's budget.
// Where no connection was made nothing has been sent: any request may go to another endpoint. It
// does so by the retry policy if that names connect failures, else to a few that it has not tried
// (attempts.h).
//
// Where max_connections are in use it waits before it picks, as long as its timeout lets it and no
// more than max_pending_requests do.
//
// Nothing is sent while held: the body that came with the head may prove to be malformed, and else
// goes out with it. What comes later is collected while it is read, so that a client of many small
// chunks costs no more system calls than it sends packets.
//
// Thread: its worker's. Owns: the connection's use, guards, what is kept for a retry.
// Borrows: the sink, the pool, the plan's route (all outlive it).
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>

#include "proxy/http/codec/response_parser.h"
#include "proxy/http/http_metrics.h"
#include "proxy/http/route/route.h"
#include "proxy/http/router/attempts.h"
#include "proxy/http/router/body_reader.h"
#include "proxy/http/stream_info.h"
#include "proxy/http/upstream/upstream_pool.h"
#include "proxy/upstream/connector.h"
#include "proxy/upstream/endpoint_use.h"
#include "proxy/worker/loop_clock.h"

namespace baton::proxy::http {

// Why there is no response, or not all of it.
struct UpstreamFailure {
  std::uint16_t status;  // what to answer, if nothing has been
  ResponseFlag flag;
  std::string_view detail;  // one word for the access log; static
};

class UpstreamRequest final : private UpstreamConnection::User,
                              private Connector::Sink,
                              private ConnectionQueue::Waiter {
 public:
  class Sink {
   public:
    // The response's head, in response(): a final one, or an interim one.
    virtual void on_response_head() = 0;
    virtual void on_interim_head() = 0;
    // A piece of the body without its framing; not with the end.
    virtual void on_response_data(std::string_view data) = 0;
    // What was received at once has been told: time to send it on.
    virtual void on_response_pause() = 0;
    // Everything has arrived; trailers: null without any. The request is over here.
    virtual void on_response_end(HeaderMap* trailers) = 0;
    // The request is over here, without (all of) a response.
    virtual void on_upstream_failure(const UpstreamFailure& failure) = 0;
    // It takes more of the request's body / no more for the moment.
    virtual void on_request_writable() = 0;
    virtual void on_request_blocked() = 0;

   protected:
    ~Sink() = default;
  };

  // What all requests of one cluster on one worker share.
  struct Context {
    ev::loop_ref loop;
    UpstreamPool& pool;
    TimeoutQueues& timeouts;
    LoopClock& clock;
    Buffer& out;  // the worker's, for what is written; empty between two events
    UpstreamHttpStats stats;
  };

  struct Plan {
    Context& context;
    const ForwardAction& route;
    const RequestHead& head;  // borrowed only for the call
    std::optional<std::uint64_t> hash;
    // Ahead of the request, on a connection that serves no other; borrowed for the call. Empty:
    // none.
    std::string_view opening = {};
    // What head.upgrade asks for, if that is forwarded; outlives the request. Empty: it is not.
    std::string_view upgrade = {};
    bool connect = false;  // CONNECT: a tunnel to the endpoint, no HTTP is spoken to it
  };

  UpstreamRequest(const MessageLimits& limits, Sink& sink, StreamInfo& info,
                  ResponseHead& response);
  ~UpstreamRequest();
  UpstreamRequest(const UpstreamRequest&) = delete;
  UpstreamRequest& operator=(const UpstreamRequest&) = delete;

  // May call the sink. The body, if the head has one, follows with send_data() and send_end(); what
  // comes of it when the request is over is dropped.
  void start(const Plan& plan);
  void send_data(std::string_view data);
  void send_end(const HeaderMap* trailers);
  // Before start(): whether to wait for release_hold(), when what the client has sent is read.
  enum class Hold : bool { No, Yes };
  void hold(Hold whether) { held_ = whether == Hold::Yes; }
  void release_hold();
  // Between the two, pieces of a body in chunks are put together; both within one event.
  void begin_pieces() { collecting_ = true; }
  void end_pieces();
  // The client is slow / no longer.
  void pause_response();
  void resume_response();
  // Nobody wants the answer any more. Idempotent; the sink hears nothing more.
  void cancel();

  // Whether the endpoint has taken some of what waits for it since this was asked last.
  bool endpoint_takes_more();

  bool active() const { return context_ != nullptr; }
  // During on_response_head(): where the texts of response() are; empty: none are of the upstream.
  std::string_view response_head_bytes() const { return head_bytes_; }
  // After a head that says Tunnel (or the connection of a CONNECT): the socket leaves.
  struct Tunnel {
    LegState leg;
    Buffer received;  // by the leg, and not passed on yet
    std::shared_ptr<const Endpoint> endpoint;
    Cluster* cluster = nullptr;
    CircuitGuard circuit;
    bool failed = false;  // to send
  };
  Tunnel take_tunnel();

  // A request is not kept for a retry beyond this.
  static constexpr std::size_t kReplayBytes = std::size_t{64} * 1024;
  // What may wait for a connection before the client is no longer read.
  static constexpr std::size_t kWaitingBytes = std::size_t{64} * 1024;
  // Of one attempt: a server that works for long says so (102) every 20 s (RFC 2518 section 10.1).
  static constexpr unsigned kMaxInterimResponses = 200;

 private:
  enum class Phase : std::uint8_t { Idle, Connecting, AwaitingHead, Body, Tunnel };

  // UpstreamConnection::User
  void on_upstream_data(Buffer& data, EndOfStream end) override;
  void on_upstream_failed() override;
  void on_upstream_flushed() override;
  // Connector::Sink
  void on_connected(os::UniqueFd socket, std::shared_ptr<const Endpoint> endpoint) override;
  void on_exhausted() override;
  // ConnectionQueue::Waiter
  void on_place(CircuitGuard place) override;

  enum class Reuse : bool { No, Yes };
  enum class Pick : bool { Pooled, Fresh };
  enum class Closed : bool { Cleanly, Reset };

  void begin_attempt(Pick pick);
  void count_attempt();
  void wait_for_place(Pick pick);
  void begin_to_wait();
  void go_to_any_endpoint(Pick pick);
  void go_to(std::shared_ptr<const Endpoint> endpoint, Pick pick);
  void connect_to(std::shared_ptr<const Endpoint> endpoint);
  void go_on_with(UpstreamConnection& connection);
  void send_kept();
  void pass_on_pieces();
  void pass_on(std::string_view bytes);
  void write(std::string_view bytes);
  void wait_for_endpoint();
  void wait_for_client();
  void arm_timeout();
  void arm_per_try_timeout();
  void on_timeout();
  void on_per_try_timeout();
  bool has_unread() const;
  void look_again(Timeout& timeout);

  bool is_unasked(const Buffer& data) const;
  void on_unasked_data();
  bool take_stale_retry();
  // False: nothing can be read from the rest now.
  bool read_some(Buffer& input);
  bool read_head(Buffer& input);
  bool read_body(Buffer& input);
  void wait_for_more();
  void on_final_head(Buffer& rest);
  void begin_tunnel();
  void on_response_complete(Reuse reuse);
  void on_closed_by_endpoint(Closed how);

  bool may_send_again() const;
  bool is_sure_of_stale_retry() const;
  void retry(Pick pick);
  void fail(const UpstreamFailure& failure);
  void report_outcome();
  void drop_connection();
  void finish(Reuse reuse);

  Sink& sink_;
  StreamInfo& info_;
  ResponseHead& response_;
  ResponseParser parser_;
  BodyReader body_;

  Context* context_ = nullptr;  // null: no request
  const ForwardAction* route_ = nullptr;
  Attempts attempts_;
  AnsweredRequest answered_;
  bool connect_ = false;
  bool shares_ = true;            // its connections serve others, too
  bool chunked_ = false;          // how the request's body is framed
  bool request_sent_ = false;     // all of it, as far as this object is concerned
  bool repeatable_ = false;       // by its method, or because the route says so
  bool kept_all_ = true;          // kept_ has all that was sent
  bool awaits_continue_ = false;  // the client sends no body before the endpoint has spoken
  bool response_paused_ = false;
  bool held_ = false;
  bool collecting_ = false;  // context_->out may hold pieces of this request
  Phase phase_ = Phase::Idle;
  std::uint8_t interim_responses_ = 0;
  // Of the connection, when timeout_ was armed for want of progress.
  std::uint64_t taken_before_ = 0;
  std::uint64_t taken_then_ = 0;  // when endpoint_takes_more() was asked last
  unsigned used_in_ = 0;          // the loop's iteration in which the connection was given to this

  Buffer kept_;     // what an attempt has to send, or has sent and may have to again
  Buffer pending_;  // an incomplete head of a response
  UpstreamConnection* connection_ = nullptr;
  std::unique_ptr<Connector> connector_;
  Cluster::Ticket ticket_;  // while it waits for one of max_connections
  Pick pick_ = Pick::Pooled;
  CircuitGuard request_guard_;
  CircuitGuard pending_guard_;
  CircuitGuard connection_guard_;
  EndpointUse use_;
  std::optional<Outcome> outcome_;  // of this attempt, as far as it is known; reported at its end
  std::chrono::steady_clock::time_point sent_at_;
  std::string_view head_bytes_;
  Buffer tunnelled_;                       // bytes behind the head that opened a tunnel
  TimeoutQueue* timeout_queue_ = nullptr;  // null: no timeout
  // Both begin when all of the request is there: a client may take its time to send it. The route's
  // runs as well while it is not the client that keeps the request waiting: there is no connection,
  // or the endpoint takes no more of it. Both run while the client waits to be told to go on.
  Timeout timeout_;          // the route's: until the head, whatever the number of attempts, and
                             // between pieces of the body
  Timeout per_try_timeout_;  // until the head of this attempt; connecting is limited by itself
  bool connected_late_ = false;  // in time, but seen only when the route's had expired
};

}  // namespace baton::proxy::http
