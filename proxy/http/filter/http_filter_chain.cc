#include "proxy/http/filter/http_filter_chain.h"

#include <utility>

namespace baton::proxy::http {

// One filter and its place in the chain.
class HttpFilterChain::Link final : public HttpFilterCallbacks {
 public:
  ev::loop_ref loop() const override { return chain->host_.loop(); }
  StreamInfo& stream_info() override { return chain->host_.stream_info(); }
  RequestHead& request() override { return chain->host_.request(); }
  ResponseHead& response() override { return chain->host_.response(); }
  void continue_decoding() override { chain->resume(Direction::Decode, index); }
  void continue_encoding() override { chain->resume(Direction::Encode, chain->size_ - 1 - index); }
  void send_local_reply(std::uint16_t status, std::string_view body,
                        std::string_view detail) override {
    chain->running_ = index;
    chain->host_.reply_locally({.status = status, .body = body, .detail = detail});
  }
  void reset() override { chain->host_.reset_stream(); }
  void add_encoded_data(Buffer& data) override {
    chain->run_data(Direction::Encode, chain->size_ - index, data, EndOfStream::No);
  }

  HttpFilterChain* chain = nullptr;
  std::size_t index = 0;
  std::unique_ptr<HttpFilter> filter;
};

HttpFilterChain::HttpFilterChain(Host& host) : host_(host) {}
HttpFilterChain::~HttpFilterChain() = default;

void HttpFilterChain::make(std::span<const MakeHttpFilter> makers, const RequestHead& head) {
  if (makers.empty()) return;
  if (capacity_ < makers.size()) {
    links_ = std::make_unique<Link[]>(makers.size());
    capacity_ = makers.size();
  }
  for (const MakeHttpFilter& maker : makers) {
    auto filter = maker(head);
    if (!filter) continue;
    Link& link = links_[size_];
    link.chain = this;
    link.index = size_++;
    link.filter = std::move(filter);
    link.filter->set_callbacks(link);
  }
}

void HttpFilterChain::clear() {
  for (std::size_t i = 0; i < size_; ++i) links_[i].filter->on_stream_end();
  for (std::size_t i = 0; i < size_; ++i) ended_.push_back(std::move(links_[i].filter));
  size_ = 0;
  running_ = kNowhere;
  for (Flow& flow : flows_) flow = Flow();
}

HttpFilterChain::Link& HttpFilterChain::at(Direction direction, std::size_t position) {
  return links_[direction == Direction::Decode ? position : size_ - 1 - position];
}

void HttpFilterChain::headers(Direction direction, EndOfStream end) {
  Flow& flow = this->flow(direction);
  flow.headers_end = end;
  run_headers(direction, flow.first);
}

void HttpFilterChain::run_headers(Direction direction, std::size_t position) {
  Flow& flow = this->flow(direction);
  for (; position < size_; ++position) {
    HttpFilter& filter = *at(direction, position).filter;
    const HttpFilterStatus status = direction == Direction::Decode
                                        ? filter.decode_headers(host_.request(), flow.headers_end)
                                        : filter.encode_headers(host_.response(), flow.headers_end);
    if (flow.dropped || size_ == 0) return;
    if (status == HttpFilterStatus::StopIteration) {
      flow.stopped_at = position;
      return;
    }
  }
  flow.headers_passed = true;
  host_.on_headers_passed(direction, flow.headers_end);
}

void HttpFilterChain::data(Direction direction, Buffer& data, EndOfStream end) {
  Flow& flow = this->flow(direction);
  if (flow.dropped) return data.clear();
  if (flow.stopped_at == kNowhere) return run_data(direction, flow.first, data, end);
  flow.waiting.append(data.view());
  data.clear();
  flow.waiting_end = end;
  watch(direction);
}

void HttpFilterChain::run_data(Direction direction, std::size_t position, Buffer& data,
                               EndOfStream end) {
  Flow& flow = this->flow(direction);
  for (; position < size_; ++position) {
    HttpFilter& filter = *at(direction, position).filter;
    const HttpFilterStatus status = direction == Direction::Decode ? filter.decode_data(data, end)
                                                                   : filter.encode_data(data, end);
    if (flow.dropped || size_ == 0) return data.clear();
    if (status == HttpFilterStatus::StopIteration) {
      flow.stopped_at = position;
      flow.in_hand.append(data.view());
      flow.in_hand_end = end;
      data.clear();
      return watch(direction);
    }
  }
  host_.on_data_passed(direction, data, end);
}

void HttpFilterChain::trailers(Direction direction, HeaderMap& trailers) {
  Flow& flow = this->flow(direction);
  if (flow.dropped) return;
  if (flow.stopped_at == kNowhere) return run_trailers(direction, flow.first, trailers);
  flow.waiting_trailers = &trailers;
  flow.trailers_position = flow.first;
}

void HttpFilterChain::run_trailers(Direction direction, std::size_t position, HeaderMap& trailers) {
  Flow& flow = this->flow(direction);
  for (; position < size_; ++position) {
    HttpFilter& filter = *at(direction, position).filter;
    const HttpFilterStatus status = direction == Direction::Decode
                                        ? filter.decode_trailers(trailers)
                                        : filter.encode_trailers(trailers);
    if (flow.dropped || size_ == 0) return;
    if (status == HttpFilterStatus::StopIteration) flow.stopped_at = position;
    // Or what it has added to the body was stopped further on.
    if (flow.stopped_at != kNowhere) {
      flow.waiting_trailers = &trailers;
      flow.trailers_position = position + 1;
      return;
    }
  }
  host_.on_trailers_passed(direction, trailers);
}

// What one lets go is data to those after it, before they are asked in their turn.
void HttpFilterChain::pause_encoding() {
  Flow& flow = this->flow(Direction::Encode);
  for (std::size_t position = flow.first; position < size_; ++position) {
    if (!flow.headers_passed || flow.stopped_at != kNowhere) return;
    Buffer data;
    at(Direction::Encode, position).filter->encode_pause(data);
    if (!data.empty()) run_data(Direction::Encode, position + 1, data, EndOfStream::No);
  }
}

void HttpFilterChain::resume(Direction direction, std::size_t position) {
  Flow& flow = this->flow(direction);
  if (flow.dropped || flow.stopped_at != position) return;
  flow.stopped_at = kNowhere;
  catch_up(direction, position);
  host_.on_chain_resumed();
}

// In order: the headers that wait, what the filter had in hand, what came after it.
void HttpFilterChain::catch_up(Direction direction, std::size_t position) {
  Flow& flow = this->flow(direction);
  if (!flow.headers_passed) run_headers(direction, position + 1);
  if (flow.dropped || flow.stopped_at != kNowhere || size_ == 0) return;
  if (!flow.in_hand.empty() || flow.in_hand_end == EndOfStream::Yes) {
    Buffer in_hand = std::move(flow.in_hand);
    run_data(direction, position + 1, in_hand, std::exchange(flow.in_hand_end, EndOfStream::No));
    if (flow.dropped || flow.stopped_at != kNowhere || size_ == 0) return;
  }
  if (!flow.waiting.empty() || flow.waiting_end == EndOfStream::Yes) {
    Buffer waiting = std::move(flow.waiting);
    run_data(direction, flow.first, waiting, std::exchange(flow.waiting_end, EndOfStream::No));
    if (flow.dropped || flow.stopped_at != kNowhere || size_ == 0) return;
  }
  if (HeaderMap* const trailers = std::exchange(flow.waiting_trailers, nullptr)) {
    run_trailers(direction, flow.trailers_position, *trailers);
    if (size_ == 0) return;
  }
  watch(direction);
}

void HttpFilterChain::watch(Direction direction) {
  Flow& flow = this->flow(direction);
  const bool full = flow.in_hand.size() + flow.waiting.size() >= kWatermark;
  if (full == flow.full) return;
  flow.full = full;
  full ? host_.on_chain_full(direction) : host_.on_chain_drained(direction);
}

void HttpFilterChain::begin_local_reply() {
  Flow& decode = flow(Direction::Decode);
  decode.dropped = true;
  decode.in_hand.release();
  decode.waiting.release();
  Flow& encode = flow(Direction::Encode);
  encode = Flow();
  // A filter's reply starts at that filter; the router's at the last one.
  encode.first = running_ == kNowhere ? 0 : size_ - 1 - running_;
}

}  // namespace baton::proxy::http
