// The filters of one request in their order, and what waits in front of one that has stopped.
//
// Each direction passes the filters one by one: decode from the first to the last, encode from the
// last to the first. What a filter that stopped had in hand waits behind it, what arrives meanwhile
// waits ahead of all of them.
//
// Thread: its worker's. Owns: the filters, waiting bytes. Borrows: the host (outlives it).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "proxy/http/filter/http_filter.h"

namespace baton::proxy::http {

enum class Direction : std::uint8_t { Decode, Encode };

// A local reply as filters ask for it.
struct LocalReply {
  std::uint16_t status = 500;
  std::string_view body;
  std::string_view detail;  // static
  std::string_view content_type = "text/plain";
  std::string_view location;  // of a redirect
  bool explains = true;       // an error without a body has the status's reason as one
};

class HttpFilterChain {
 public:
  class Host {
   public:
    virtual ev::loop_ref loop() const = 0;
    virtual StreamInfo& stream_info() = 0;
    virtual RequestHead& request() = 0;
    virtual ResponseHead& response() = 0;
    // Past all filters of their direction.
    virtual void on_headers_passed(Direction direction, EndOfStream end) = 0;
    virtual void on_data_passed(Direction direction, Buffer& data, EndOfStream end) = 0;
    virtual void on_trailers_passed(Direction direction, HeaderMap& trailers) = 0;
    // So much waits that the source should pause / it may go on.
    virtual void on_chain_full(Direction direction) = 0;
    virtual void on_chain_drained(Direction direction) = 0;
    // A filter had the message go on: what it led to has been told.
    virtual void on_chain_resumed() = 0;
    virtual void reply_locally(const LocalReply& reply) = 0;
    virtual void reset_stream() = 0;

   protected:
    ~Host() = default;
  };

  static constexpr std::size_t kWatermark = std::size_t{64} * 1024;

  explicit HttpFilterChain(Host& host);
  ~HttpFilterChain();
  HttpFilterChain(const HttpFilterChain&) = delete;
  HttpFilterChain& operator=(const HttpFilterChain&) = delete;

  // For a request with this head.
  void make(std::span<const MakeHttpFilter> makers, const RequestHead& head);
  bool empty() const { return size_ == 0; }
  // The request has ended: tells the filters. They may be on the stack.
  void clear();
  // They are not: destroys them.
  void bury() { ended_.clear(); }

  void headers(Direction direction, EndOfStream end);
  void data(Direction direction, Buffer& data, EndOfStream end);
  void trailers(Direction direction, HeaderMap& trailers);
  // No more of the response comes for now.
  void pause_encoding();

  // What a filter answers by itself passes only it and those ahead of it; nothing is decoded any
  // more. Before the headers of such a reply are encoded.
  void begin_local_reply();

 private:
  class Link;
  static constexpr std::size_t kNowhere = SIZE_MAX;

  // Positions count along a direction: 0 is the filter that sees a message first.
  struct Flow {
    std::size_t first = 0;  // encode: where a local reply comes from
    std::size_t stopped_at = kNowhere;
    bool headers_passed = false;
    bool dropped = false;  // nobody wants it any more
    EndOfStream headers_end = EndOfStream::No;
    Buffer in_hand;  // of the filter that stopped
    EndOfStream in_hand_end = EndOfStream::No;
    Buffer waiting;  // seen by no filter
    EndOfStream waiting_end = EndOfStream::No;
    HeaderMap* waiting_trailers = nullptr;
    std::size_t trailers_position = 0;  // the first that has not seen them
    bool full = false;
  };

  Flow& flow(Direction direction) { return flows_[static_cast<std::size_t>(direction)]; }
  Link& at(Direction direction, std::size_t position);
  void run_headers(Direction direction, std::size_t position);
  void run_data(Direction direction, std::size_t position, Buffer& data, EndOfStream end);
  void run_trailers(Direction direction, std::size_t position, HeaderMap& trailers);
  void resume(Direction direction, std::size_t position);
  void catch_up(Direction direction, std::size_t position);
  void watch(Direction direction);

  Host& host_;
  std::unique_ptr<Link[]> links_;
  std::size_t capacity_ = 0;
  std::size_t size_ = 0;
  std::vector<std::unique_ptr<HttpFilter>> ended_;  // perhaps on the stack still
  std::size_t running_ = kNowhere;                  // the decode position that is on the stack
  std::array<Flow, 2> flows_;
};

}  // namespace baton::proxy::http
