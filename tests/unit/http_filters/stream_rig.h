// One request and its response as one HTTP filter sees them: a test is the client's codec on one
// side and the router on the other, and this the chain between, with only that filter in it.
#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/config/config.h"
#include "proxy/config/config_document.h"
#include "proxy/http/codec/request_parser.h"
#include "proxy/http/codec/response_parser.h"
#include "proxy/http/filter/http_filter.h"
#include "proxy/stats/stats_store.h"
#include "proxy/worker/drain_state.h"
#include "proxy/worker/event_loop.h"
#include "shared/region/private_runtime.h"

namespace baton::fixture {

// What a filter is bound to: a listener "web" on one worker.
struct FilterRig {
  proxy::http::MakeHttpFilter bind(const proxy::http::HttpFilterFactory& factory,
                                   std::uint32_t position = 0);

  proxy::EventLoop loop;
  std::string version = "1.2.3";
  proxy::ListenerConfig listener{.name = "web"};
  std::unique_ptr<proxy::StatsStore> stats = std::move(*proxy::StatsStore::open({}, 0));
  std::unique_ptr<proxy::StatsLane> lane = stats->claim_lane();
  std::unique_ptr<region::PrivateRuntime> runtime = std::move(*region::PrivateRuntime::create());
  proxy::DrainState drain;
};

class StreamRig final : private proxy::http::HttpFilterCallbacks {
 public:
  enum class Answer { None, Local, Reset };

  // "GET / HTTP/1.1\nHost: a\n": each \n becomes CRLF, and the empty line is added. From
  // 192.0.2.1, unless told.
  StreamRig(FilterRig& rig, const proxy::http::MakeHttpFilter& make, std::string_view request,
            std::string_view client = "192.0.2.1:1234");
  ~StreamRig();

  // The same way: what comes from upstream. Its body follows by receive().
  void respond(std::string_view response, proxy::EndOfStream end = proxy::EndOfStream::No);
  // A piece of the response's body as the client gets it.
  std::string receive(std::string_view data, proxy::EndOfStream end = proxy::EndOfStream::No);
  // What the client gets when the upstream pauses.
  std::string pause();
  // What the client gets when the body ends in trailers.
  std::string receive_trailers();

  // Header lines of that name, joined by "|".
  std::string request_lines(std::string_view name) const;
  std::string response_lines(std::string_view name) const;

  bool concerned() const { return filter_ != nullptr; }
  bool reached_router() const { return reached_router_; }
  const proxy::http::ResponseHead& response_head() const { return response_; }
  proxy::http::RequestHead& request_head() { return request_; }

  Answer answer = Answer::None;
  std::string body;    // of a local answer
  std::string detail;  // ... and its word for the log
  proxy::http::StreamInfo info;

 private:
  ev::loop_ref loop() const override { return rig_.loop.ref(); }
  proxy::http::StreamInfo& stream_info() override { return info; }
  proxy::http::RequestHead& request() override { return request_; }
  proxy::http::ResponseHead& response() override { return response_; }
  void continue_decoding() override;
  void continue_encoding() override { FAIL("nothing was stopped"); }
  void add_encoded_data(proxy::Buffer& data) override;
  void send_local_reply(std::uint16_t status, std::string_view text,
                        std::string_view word) override;
  void reset() override;

  FilterRig& rig_;
  std::string request_bytes_;
  std::string response_bytes_;
  proxy::http::MessageLimits limits_;
  proxy::http::RequestHead request_;
  proxy::http::ResponseHead response_;
  std::unique_ptr<proxy::http::HttpFilter> filter_;
  std::string added_;
  bool stopped_ = false;
  bool reached_router_ = false;
};

// What a filter's parse() makes of its keys, and the mistakes it finds, a line each.
struct ParsedFilter {
  std::shared_ptr<const proxy::http::HttpFilterFactory> factory;
  std::string mistakes;
};
ParsedFilter parse_filter(std::string_view type, std::string_view toml);

}  // namespace baton::fixture
