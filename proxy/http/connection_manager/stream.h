// One request and its response: from the complete head of the request, through the filters, to a
// route and its upstream or an answer of our own, and back.
//
//   begin ─► decode filters ─► route ─┬─► UpstreamRequest ─► encode filters ─► client
//                                     └─► local reply ──────► encode filters ─► client
//
// It ends when both messages have: the rest of a request that nobody wants any more is read and
// dropped if it is short, else the connection closes after the response.
//
// Thread: its worker's. Owns: the heads, filters, the upstream request.
// Borrows: the host and its context, from begin() to the end.
// Invariant: between two events worker.response_out() is empty.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "proxy/http/access_log/tunnel_record.h"
#include "proxy/http/codec/message_head.h"
#include "proxy/http/connection_manager/http_context.h"
#include "proxy/http/filter/http_filter_chain.h"
#include "proxy/http/router/body_reader.h"
#include "proxy/http/router/upstream_request.h"
#include "proxy/http/stream_info.h"

namespace baton::proxy::http {

// What becomes of the client's connection after a stream.
enum class AfterStream : std::uint8_t {
  KeepAlive,
  Close,   // what was sent arrives
  Cut,     // what was sent arrives, and by its framing it is not the whole response
  Reset,   // the client must see that the response has no end
  Tunnel,  // take_tunnel()
};

class Stream final : private UpstreamRequest::Sink, private HttpFilterChain::Host {
 public:
  class Host {
   public:
    virtual const os::SocketAddress& peer() const = 0;
    // Where the client has connected to; a system call.
    virtual os::SocketAddress local_address() const = 0;
    virtual void send(std::string_view bytes) = 0;
    virtual bool client_is_slow() const = 0;
    // What it has not got yet of what was sent; a system call.
    virtual std::uint32_t waiting_bytes() const = 0;
    // Whether the connection can go on in the next generation.
    virtual bool may_move() const = 0;
    virtual void pause_request() = 0;
    virtual void resume_request() = 0;
    // Once. The stream lives until the event is over.
    virtual void on_stream_end(AfterStream after) = 0;

   protected:
    ~Host() = default;
  };

  explicit Stream(HttpWorker& worker);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // Where a parser puts the head, before begin().
  RequestHead& request() override { return request_; }

  using Clock = std::chrono::steady_clock;
  // Yes: the connection is not to be kept after this one, whatever the client wants.
  enum class Last : bool { No, Yes };
  struct Head {
    std::string_view bytes;      // with its texts; need not outlive the call
    Clock::time_point begun_at;  // when its first byte came; not later than now
    Last last = Last::No;
  };
  // The head is complete.
  void begin(Host& host, HttpContext& context, const Head& head);
  // The head was refused: answers, and ends. As much of it as there is may be logged.
  void reject(Host& host, HttpContext& context, const Verdict& verdict, Clock::time_point begun_at);
  // It took too long to come.
  void reject_slow(Host& host, HttpContext& context, Clock::time_point begun_at);

  // Takes what belongs to this request; the rest is another's.
  void receive_body(Buffer& bytes);
  // All that has come so far has been given to begin() and receive_body(): the upstream may have
  // it.
  void on_input_read() { upstream_.release_hold(); }
  bool request_complete() const { return body_.complete(); }
  bool response_begun() const { return response_begun_; }
  bool ended() const { return host_ == nullptr; }

  void on_client_slow();
  void on_client_ready();
  // The client says no more, and its request is not complete. It gets an answer that is.
  void on_request_broken_off();
  // The client has gone, or its connection is cut.
  void abort(ResponseFlag reason);
  // How long nothing may pass; null: for ever.
  TimeoutQueue* idle_timeout() const { return idle_queue_; }
  // No callback of it is on the stack any more.
  void rest() { filters_.bury(); }
  UpstreamRequest::Tunnel take_tunnel() { return upstream_.take_tunnel(); }
  // With it: what the access log is to say when the tunnel ends. Null: nothing.
  std::unique_ptr<TunnelRecord> tunnel_record() const;

  // Of a request whose answer has been given: so much of its body is read to keep the connection.
  static constexpr std::uint64_t kDiscardBytes = std::uint64_t{64} * 1024;

 private:
  // UpstreamRequest::Sink
  void on_response_head() override;
  void on_interim_head() override;
  void on_response_data(std::string_view data) override;
  void on_response_pause() override { flush_all(); }
  void on_response_end(HeaderMap* trailers) override;
  void on_upstream_failure(const UpstreamFailure& failure) override;
  void on_request_writable() override;
  void on_request_blocked() override { pause_reading(kUpstream); }
  // HttpFilterChain::Host
  ev::loop_ref loop() const override { return worker_.loop(); }
  StreamInfo& stream_info() override { return info_; }
  ResponseHead& response() override { return response_; }
  void on_headers_passed(Direction direction, EndOfStream end) override;
  void on_data_passed(Direction direction, Buffer& data, EndOfStream end) override;
  void on_trailers_passed(Direction direction, HeaderMap& trailers) override;
  void on_chain_full(Direction direction) override;
  void on_chain_drained(Direction direction) override;
  void reply_locally(const LocalReply& reply) override;
  void reset_stream() override;
  void on_chain_resumed() override { flush_all(); }

  void start(Host& host, HttpContext& context, Clock::time_point begun_at);
  void limit_request_time();
  bool refuses_connect() const;
  void route();
  bool takes_hop();
  void forward(const ForwardAction& action);
  void redirect();
  bool read_body(Buffer& bytes);
  void deliver_request_data(std::string_view data);
  void deliver_request_end();
  void on_bad_body(const Rejection& rejection);
  void keep_request_head(std::string_view head_bytes);
  void keep_response_head();

  void send_response_head(EndOfStream end);
  void frame_response();
  bool decide_persistence();
  bool rest_is_short() const;
  bool body_is_withheld() const;
  bool client_stalls() const;
  bool client_takes_more();
  void send_response_data(std::string_view data);
  void send_response_end(HeaderMap* trailers);
  void flush();
  void flush_all();
  void encode(EndOfStream end);

  enum : std::uint8_t { kUpstream = 1, kFilters = 2 };  // why the request is not read
  void pause_reading(std::uint8_t reason);
  void resume_reading(std::uint8_t reason);
  void pause_response(std::uint8_t reason);
  void resume_response(std::uint8_t reason);

  void touch();
  void use_idle_timeout(std::chrono::milliseconds time);
  void on_idle();
  void on_request_timeout();
  void end_if_complete();
  void end(AfterStream after);
  void write_log();

  HttpWorker& worker_;
  MessageLimits limits_;           // of the listener whose stream this is
  MessageLimits response_limits_;  // the same, but a response may have any size
  Host* host_ = nullptr;           // null: nothing is in progress
  HttpContext* context_ = nullptr;
  RequestHead request_;
  ResponseHead response_;
  StreamInfo info_;
  BodyReader body_;  // of the request
  HttpFilterChain filters_;
  UpstreamRequest upstream_;
  const Route* route_ = nullptr;
  Buffer kept_request_;  // the head's bytes, where somebody reads them later
  Buffer kept_response_;
  TimeoutQueue* idle_queue_ = nullptr;  // null: it may be idle for ever
  Timeout idle_timeout_;
  Timeout request_timeout_;
  std::uint32_t waiting_then_ = 0;  // for the client, when it was looked at last
  bool seems_idle_ = false;
  bool last_ = false;             // closes after this one
  bool keep_alive_ = false;       // once the response's head is sent
  bool request_dropped_ = false;  // what comes of its body is for nobody
  bool continued_ = false;        // the client was told to send its body: 100
  bool response_begun_ = false;   // its head was sent
  bool response_complete_ = false;
  bool chunked_ = false;      // how the response is framed to the client
  bool body_allowed_ = true;  // ... if it has a body at all
  std::uint8_t paused_request_ = 0;
  std::uint8_t paused_response_ = 0;
};

}  // namespace baton::proxy::http
