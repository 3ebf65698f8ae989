// Terminal filter: speaks HTTP/1 with the client. Reads requests one after the other, gives each to
// a Stream, and decides whether the connection goes on after it.
//
//              first byte           head complete           both messages complete
//   waiting ─────────────► reading ─────────────► streaming ───────────────────────► waiting
//     │ keep_alive over       │ header timeout       │ 101, CONNECT                    or closing
//     ▼                       ▼                      ▼
//   closed (Now)         408, closed (Linger)     tunnel: has the bytes from here on
//
// One request at a time is answered, and the next one when the client has taken that answer; what
// it sends ahead of that (pipelining) waits here, and beyond a watermark in the kernel. A waiting
// connection holds no buffer and no stream.
//
// While connections move to the next generation it boards behind each answer: it reads nothing, and
// is frozen there, with the bytes of later requests, or thawed to go on.
//
// Thread: its worker's. Owns: the stream, waiting bytes. Borrows: context, callbacks.
#pragma once

#include <ev++.h>

#include <cstdint>
#include <memory>

#include "proxy/filter/network_filter.h"
#include "proxy/http/codec/request_parser.h"
#include "proxy/http/connection_manager/http_context.h"
#include "proxy/http/connection_manager/stream.h"
#include "proxy/http/connection_manager/tunnel.h"

namespace baton::proxy::http {

class ConnectionManager final : public NetworkFilter, private Stream::Host {
 public:
  ConnectionManager(NetworkFilterCallbacks& callbacks, HttpContext& context);
  ~ConnectionManager() override;

  FilterStatus on_data(Buffer& data, EndOfStream end) override;
  void on_downstream_full() override;
  void on_downstream_drained() override;
  // A head that is on its way has a time of its own, unless that is none, or waits for a slow
  // client.
  bool ends_when_idle() override {
    const bool has_own_time = reads_head_ && context_.config.timeouts.header && !client_is_slow();
    return !stream_ && !tunnel_ && !has_own_time;
  }
  bool between_messages() const override {
    return !stream_ && !tunnel_ && !reads_head_ && !client_is_slow();
  }
  void on_close(CloseMode mode, CloseCause cause) override;
  // Between two requests, or as a tunnel.
  bool freeze() override;
  void thaw() override;
  MoveDetails move_details() const override;
  bool restore(const MoveDetails& details) override;

  // So many bytes of later requests may wait here before the client is no longer read.
  static constexpr std::size_t kPipelineBytes = std::size_t{64} * 1024;

 private:
  // Stream::Host
  const os::SocketAddress& peer() const override { return callbacks_.remote_address(); }
  os::SocketAddress local_address() const override { return callbacks_.local_address(); }
  void send(std::string_view bytes) override { callbacks_.write(bytes); }
  bool client_is_slow() const override;
  std::uint32_t waiting_bytes() const override {
    return callbacks_.tunnel().downstream.waiting_bytes();
  }
  bool may_move() const override { return callbacks_.may_move(); }
  void pause_request() override { pause(kStream); }
  void resume_request() override { resume(kStream); }
  void on_stream_end(AfterStream after) override;

  // Why the client is not read.
  enum : std::uint8_t { kStream = 1, kPipeline = 2, kBoarding = 4 };
  void pause(std::uint8_t reason);
  void resume(std::uint8_t reason);

  void process(Buffer& input);
  bool read_head(Buffer& input);
  Stream::Clock::time_point head_begun_at() const;
  bool drop_empty_lines(Buffer& input);
  void on_header_timeout();
  void on_half_close_over();
  bool board();
  void read_soon();
  void on_more_waiting();
  void wait_for_more(Buffer& input);
  void on_client_end();
  void open_tunnel();
  void close(CloseMode mode);

  NetworkFilterCallbacks& callbacks_;
  HttpContext& context_;
  RequestParser parser_;
  std::unique_ptr<Stream> stream_;     // a request in progress
  std::unique_ptr<Tunnel> tunnel_;     // instead of HTTP
  Buffer waiting_;                     // received, not read: a partial head, or later requests
  const Buffer* processed_ = nullptr;  // what process() has in hand; null: it is not on the stack
  Timeout timeout_;                    // one use at a time: a head, half-close, what waits here
  std::uint32_t requests_ = 0;
  std::uint8_t empty_lines_ = 0;  // dropped since the last request
  std::uint8_t pauses_ = 0;
  // Of one byte: what a waiting connection costs is multiplied by their number.
  bool closing_ : 1 = false;
  bool client_ended_ : 1 = false;  // nothing more comes from it
  bool rejected_ : 1 = false;
  bool boards_ : 1 = false;
  bool reads_head_ : 1 = false;  // timeout_ is that of a head, of which a part has come
};

class ConnectionManagerFactory final : public NetworkFilterFactory {
 public:
  explicit ConnectionManagerFactory(std::shared_ptr<const HttpConfig> config)
      : config_(std::move(config)) {}
  MakeNetworkFilter bind(const FilterContext& context) const override;

 private:
  std::shared_ptr<const HttpConfig> config_;
};

}  // namespace baton::proxy::http
