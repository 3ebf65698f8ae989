// The extension point of HTTP: a chain of filters stands between the client's codec and the router.
//
//   client --decode_--> filter 0 --decode_--> filter 1 ... --decode_--> router --> upstream
//   client <--encode_-- filter 0 <--encode_-- filter 1 ... <--encode_-- router <-- upstream
//
// A filter type is an HttpFilterFactory made from its configuration. Before the first connection
// the main thread bind()s it once for each worker and listener; what bind() returns makes one
// HttpFilter a request, or none where the filter has nothing to do with it.
// docs/extending.md has a worked example.
//
// Thread: a factory is immutable and shared by all threads. bind() runs on the main thread before
// the worker starts; everything it returns, and every filter, belongs to that worker.
#pragma once

#include <ev++.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "proxy/http/codec/message_head.h"
#include "proxy/http/stream_info.h"
#include "proxy/network/buffer.h"

namespace baton::region {
class RateBuckets;  // shared/region/rate_buckets.h
}

namespace baton::proxy {
class StatsLane;        // proxy/stats/stats_store.h
class StatsStore;       // proxy/stats/stats_store.h
class DrainState;       // proxy/worker/drain_state.h
struct ListenerConfig;  // proxy/config/config.h
}  // namespace baton::proxy

namespace baton::proxy::http {

enum class HttpFilterStatus : std::uint8_t {
  Continue,
  // The filters after this one are not called; the message waits (body bytes that arrive meanwhile
  // are kept, and their source is paused at a watermark) until continue_decoding() or
  // continue_encoding(), or for ever if the filter has answered by send_local_reply().
  StopIteration,
};

// One filter's handle on its request. Everything it gives is valid for the filter's life, heads
// until their side has been sent.
class HttpFilterCallbacks {
 public:
  virtual ev::loop_ref loop() const = 0;
  virtual StreamInfo& stream_info() = 0;
  // The request's head as the filters before have left it; the response's from encode_headers() on.
  virtual RequestHead& request() = 0;
  virtual ResponseHead& response() = 0;

  // Go on after a StopIteration, with the next filter. Not from within the filter's own call.
  virtual void continue_decoding() = 0;
  virtual void continue_encoding() = 0;

  // From encode_trailers() only: bytes that belong to the end of the body. They pass the filters
  // that have yet to see the trailers.
  virtual void add_encoded_data(Buffer& data) = 0;

  // Answers the request here: nothing is sent upstream any more, and the answer passes the
  // encode_ side of this filter, where it may add its own header lines, and of those ahead of it.
  // Only before a response has begun; return StopIteration after it. An answer that ends the
  // stream takes the filter with it: touch nothing of it afterwards. The same goes for reset(), and
  // for continue_...(), which may lead to either. `detail` is static: one word for the access log.
  virtual void send_local_reply(std::uint16_t status, std::string_view body,
                                std::string_view detail) = 0;
  // Ends the connection without an answer (fault injection).
  virtual void reset() = 0;

 protected:
  ~HttpFilterCallbacks() = default;
};

class HttpFilter {
 public:
  // Before any other call; `callbacks` outlives the filter.
  void set_callbacks(HttpFilterCallbacks& callbacks) { callbacks_ = &callbacks; }
  virtual ~HttpFilter() = default;

  // `end` is Yes when no body (and no trailer) follows. A filter may change everything but
  // framing; one that changes a body's length calls for it by framing = Chunked.
  virtual HttpFilterStatus decode_headers(RequestHead& /*head*/, EndOfStream /*end*/) {
    return HttpFilterStatus::Continue;
  }
  // May change, consume or add bytes of the body, without its framing.
  virtual HttpFilterStatus decode_data(Buffer& /*data*/, EndOfStream /*end*/) {
    return HttpFilterStatus::Continue;
  }
  virtual HttpFilterStatus decode_trailers(HeaderMap& /*trailers*/) {
    return HttpFilterStatus::Continue;
  }
  virtual HttpFilterStatus encode_headers(ResponseHead& /*head*/, EndOfStream /*end*/) {
    return HttpFilterStatus::Continue;
  }
  virtual HttpFilterStatus encode_data(Buffer& /*data*/, EndOfStream /*end*/) {
    return HttpFilterStatus::Continue;
  }
  // No more of the response comes for now, and the client is to have what there is: a filter that
  // has kept some of the body until it is more appends it to `data`, which is empty. Between the
  // head and the end, while no filter has stopped the response.
  virtual void encode_pause(Buffer& /*data*/) {}
  virtual HttpFilterStatus encode_trailers(HeaderMap& /*trailers*/) {
    return HttpFilterStatus::Continue;
  }
  // The request has ended, well or not; nothing follows but destruction. What might still call the
  // filter's callbacks, such as a timer, ends here.
  virtual void on_stream_end() {}

 protected:
  HttpFilterCallbacks& callbacks() { return *callbacks_; }

 private:
  HttpFilterCallbacks* callbacks_ = nullptr;
};

// Makes the filter of one request; null: this one is not concerned by it. `head` is as the client
// has sent it: what filters ahead may change, a filter looks at in decode_headers().
using MakeHttpFilter = std::function<std::unique_ptr<HttpFilter>(const RequestHead& head)>;

// What a filter may use, for one listener on one worker. Everything referred to outlives the
// worker.
struct HttpFilterContext {
  std::uint64_t generation = 0;
  const std::string& version;
  const ListenerConfig& listener;
  std::uint32_t position = 0;         // of the filter among the listener's
  StatsStore& stats;                  // resolve metrics by name here, in bind(),
  StatsLane& lane;                    // and turn them into this worker's handles
  region::RateBuckets& rate_buckets;  // shared with every generation
  const DrainState& drain;            // whether, and for how long, this generation is draining
};

class HttpFilterFactory {
 public:
  virtual ~HttpFilterFactory() = default;
  // The result may refer to the factory, which outlives it.
  virtual MakeHttpFilter bind(const HttpFilterContext& context) const = 0;
};

}  // namespace baton::proxy::http
