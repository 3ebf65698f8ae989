#include "proxy/http/connection_manager/stream.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <utility>

#include "proxy/filter/proxy_protocol/proxy_header_writer.h"
#include "proxy/http/codec/authority.h"
#include "proxy/http/codec/characters.h"
#include "proxy/http/codec/chunked_encoder.h"
#include "proxy/http/codec/status_reason.h"
#include "proxy/http/codec/write_head.h"
#include "proxy/http/forwarded.h"

namespace baton::proxy::http {
namespace {

using std::chrono::duration_cast;
using std::chrono::microseconds;

// What a stream may leave behind in its buffers for the next one that uses this object.
constexpr std::size_t kRetainedBytes = 4096;
// Until TLS is terminated here.
constexpr std::string_view kScheme = "http";

// The first of a list of protocols that is allowed; empty: none is.
std::string_view first_allowed(const std::vector<std::string>& allowed, std::string_view list) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    const std::string_view name = trim_blanks(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 1, list.size()));
    const auto found = std::ranges::find_if(
        allowed, [&](const std::string& each) { return equal_ignoring_case(each, name); });
    if (found != allowed.end()) return *found;
  }
  return {};
}

void reuse(Buffer& buffer) {
  buffer.capacity() > kRetainedBytes ? buffer.release() : buffer.clear();
}

}  // namespace

Stream::Stream(HttpWorker& worker)
    : worker_(worker),
      body_(limits_),
      filters_(*this),
      upstream_(response_limits_, *this, info_, response_) {
  idle_timeout_.set<Stream, &Stream::on_idle>(this);
  request_timeout_.set<Stream, &Stream::on_request_timeout>(this);
}

Stream::~Stream() = default;

// --- the request ---------------------------------------------------------------------------------

void Stream::start(Host& host, HttpContext& context, Clock::time_point begun_at) {
  host_ = &host;
  context_ = &context;
  limits_ = response_limits_ = context.config.limits;
  response_limits_.body_bytes = MessageLimits().body_bytes;
  info_ = StreamInfo();
  info_.started_at = begun_at;
  route_ = nullptr;
  idle_queue_ = context.stream_idle_timeout;
  last_ = keep_alive_ = request_dropped_ = continued_ = false;
  response_begun_ = response_complete_ = chunked_ = false;
  body_allowed_ = true;
  paused_request_ = paused_response_ = 0;
  context.stats.requests_total.add();
  context.stats.requests_active.add();
}

void Stream::begin(Host& host, HttpContext& context, const Head& head) {
  start(host, context, head.begun_at);
  last_ = head.last == Last::Yes;
  body_.begin(request_);
  // HTTP/1.0 has no Host, but what is forwarded is HTTP/1.1 (RFC 9112 section 3.3).
  if (request_.authority.empty()) {
    const os::SocketAddress local = host.local_address();
    request_.authority = request_.headers.keep(local.is_unix() ? "localhost" : local.text());
  }
  info_.client = client_address(request_, host.peer(), context.config.forwarded);
  update_forwarded(request_, host.peer(), kScheme, context.config.forwarded);
  touch();
  limit_request_time();
  const bool whole = body_.complete();
  upstream_.hold(whole ? UpstreamRequest::Hold::No : UpstreamRequest::Hold::Yes);
  const EndOfStream end = whole ? EndOfStream::Yes : EndOfStream::No;
  filters_.make(context.filters, request_);
  filters_.headers(Direction::Decode, end);
  if (ended()) return;
  if (!filters_.empty() || context_->access_log != nullptr) keep_request_head(head.bytes);
}

void Stream::limit_request_time() {
  if (context_->request_timeout == nullptr || body_.complete()) return;
  const CoarseClock::time_point begun_at(
      std::chrono::floor<CoarseClock::duration>(info_.started_at.time_since_epoch()));
  context_->request_timeout->arm(request_timeout_, std::min(begun_at, CoarseClock::now()));
}

// Whoever looks at it later finds it here; elsewhere it is gone with the event.
void Stream::keep_request_head(std::string_view head_bytes) {
  kept_request_.append(head_bytes);
  request_.rebase(head_bytes, kept_request_.view().data());
}

void Stream::keep_response_head() {
  const std::string_view bytes = upstream_.response_head_bytes();
  if (bytes.empty() || (filters_.empty() && context_->access_log == nullptr)) return;
  kept_response_.clear();
  kept_response_.append(bytes);
  response_.rebase(bytes, kept_response_.view().data());
}

void Stream::reject(Host& host, HttpContext& context, const Verdict& verdict,
                    Clock::time_point begun_at) {
  start(host, context, begun_at);
  last_ = true;
  context.stats.rejected_total.add();
  info_.flags.set(ResponseFlag::DownstreamProtocolError);
  info_.client = host.peer();
  body_.begin_none();
  reply_locally({.status = verdict.status,
                 .body = verdict.rejection->reason,
                 .detail = verdict.rejection->flag});
}

void Stream::reject_slow(Host& host, HttpContext& context, Clock::time_point begun_at) {
  request_.clear();
  start(host, context, begun_at);
  last_ = true;
  info_.flags.set(ResponseFlag::RequestTimeout);
  info_.client = host.peer();
  body_.begin_none();
  reply_locally({.status = 408, .body = {}, .detail = "header_timeout"});
}

void Stream::receive_body(Buffer& bytes) {
  touch();
  upstream_.begin_pieces();
  const bool good = read_body(bytes);
  if (good && !ended() && body_.complete()) {
    request_timeout_.disarm();
    deliver_request_end();
  }
  upstream_.end_pieces();
  if (good && body_.complete()) end_if_complete();
}

// False: it is malformed, and what came of that has happened.
bool Stream::read_body(Buffer& bytes) {
  while (!ended() && !body_.complete() && !bytes.empty()) {
    const BodyReader::Step step = body_.read(bytes.view());
    if (step.rejection != nullptr) {
      on_bad_body(*step.rejection);
      return false;
    }
    info_.received_bytes += step.data.size();
    // The data stays where it is: consuming moves nothing.
    bytes.consume(step.consumed);
    if (!step.data.empty()) deliver_request_data(step.data);
    if (step.consumed == 0 && !body_.complete()) break;
  }
  return true;
}

void Stream::deliver_request_data(std::string_view data) {
  if (request_dropped_) return;
  if (filters_.empty()) return upstream_.send_data(data);
  Buffer piece;
  piece.append(data);
  filters_.data(Direction::Decode, piece, EndOfStream::No);
}

void Stream::deliver_request_end() {
  if (request_dropped_) return;
  HeaderMap* const trailers = body_.trailers();
  if (filters_.empty()) return upstream_.send_end(trailers);
  if (trailers != nullptr) return filters_.trailers(Direction::Decode, *trailers);
  Buffer nothing;
  filters_.data(Direction::Decode, nothing, EndOfStream::Yes);
}

void Stream::on_bad_body(const Rejection& rejection) {
  context_->stats.rejected_total.add();
  info_.flags.set(ResponseFlag::DownstreamProtocolError);
  info_.flag_detail = rejection.flag;
  last_ = true;
  if (response_complete_) return end(AfterStream::Close);
  if (response_begun_) return end(AfterStream::Reset);
  reply_locally({.status = rejection.status, .body = rejection.reason, .detail = rejection.flag});
}

// --- where to ------------------------------------------------------------------------------------

void Stream::on_headers_passed(Direction direction, EndOfStream end) {
  if (direction == Direction::Encode) return send_response_head(end);
  route();
}

// A CONNECT that is not forwarded has no answer but a refusal.
bool Stream::refuses_connect() const {
  if (request_.method != Method::Connect) return false;
  return !context_->config.connect || (route_ != nullptr && route_->forward() == nullptr);
}

void Stream::route() {
  route_ = context_->routes->match(request_);
  if (route_ != nullptr) info_.route = route_->name;
  if (refuses_connect()) {
    return reply_locally({.status = 405, .body = {}, .detail = "connect_not_allowed"});
  }
  if (route_ == nullptr) {
    info_.flags.set(ResponseFlag::NoRoute);
    return reply_locally({.status = 404, .body = {}, .detail = "route_not_found"});
  }
  if (const ForwardAction* const action = route_->forward()) return forward(*action);
  if (route_->redirect() != nullptr) return redirect();
  const DirectResponseAction& answer = *route_->direct_response();
  reply_locally({.status = answer.status,
                 .body = context_->direct_bodies[route_->index],
                 .detail = "direct_response",
                 .content_type = answer.content_type,
                 .explains = false});
}

void Stream::redirect() {
  const ForwardedConfig& trust = context_->config.forwarded;
  const std::string location =
      make_redirect_location(*route_, request_,
                             {.scheme = client_scheme(request_, kScheme, trust),
                              .authority = client_authority(request_, trust)});
  reply_locally({.status = route_->redirect()->status,
                 .body = {},
                 .detail = "redirect",
                 .location = location});
}

// OPTIONS and TRACE go so many hops, and are answered where those end (RFC 9110 section 7.6.2).
// False: that is here.
bool Stream::takes_hop() {
  const bool counts = request_.method == Method::Options || request_.method == Method::Trace;
  if (!counts || !request_.headers.has(HeaderId::MaxForwards)) return true;
  const std::string_view text = request_.headers.get(HeaderId::MaxForwards);
  std::uint32_t left = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), left);
  if (error != std::errc() || end != text.data() + text.size()) return true;
  if (left == 0) return false;
  request_.headers.set(HeaderId::MaxForwards, std::to_string(left - 1));
  return true;
}

void Stream::forward(const ForwardAction& action) {
  if (!takes_hop()) {
    // A TRACE is not sent back: it may hold what others have added.
    const bool options = request_.method == Method::Options;
    return reply_locally({.status = static_cast<std::uint16_t>(options ? 200 : 405),
                          .body = {},
                          .detail = "max_forwards"});
  }
  // Whether what follows is the rest of the request or the other protocol already would be a matter
  // of opinion (RFC 9110 section 7.8).
  std::string_view upgrade;
  if (!request_.upgrade.empty() && !request_.has_body()) {
    upgrade = first_allowed(context_->config.upgrades, request_.upgrade);
    request_.upgrade = upgrade;
  }
  const WeightedCluster& cluster = action.choose(context_->random());
  UpstreamRequest::Context& upstream = *context_->upstreams[cluster.index];
  info_.cluster = cluster.name;
  if (action.idle_timeout) use_idle_timeout(*action.idle_timeout);
  apply_request(*route_, request_, {.client = info_.client, .generation = context_->generation});
  Buffer opening;
  if (upstream.pool.cluster().config().send_proxy_protocol) {
    write_proxy_v2(opening, host_->peer(), host_->local_address());
  }
  upstream_.start({.context = upstream,
                   .route = action,
                   .head = request_,
                   .hash = action.hash ? action.hash->hash(request_, info_.client) : std::nullopt,
                   .opening = opening.view(),
                   .upgrade = upgrade,
                   .connect = request_.method == Method::Connect});
}

void Stream::on_data_passed(Direction direction, Buffer& data, EndOfStream end) {
  if (direction == Direction::Decode) {
    if (request_dropped_) return data.clear();
    if (!data.empty()) upstream_.send_data(data.view());
    data.clear();
    if (end == EndOfStream::Yes) upstream_.send_end(nullptr);
    return;
  }
  if (!data.empty()) send_response_data(data.view());
  data.clear();
  if (end == EndOfStream::Yes && !ended()) send_response_end(nullptr);
}

void Stream::on_trailers_passed(Direction direction, HeaderMap& trailers) {
  direction == Direction::Decode ? upstream_.send_end(&trailers) : send_response_end(&trailers);
}

// --- the response --------------------------------------------------------------------------------

void Stream::on_interim_head() {
  touch();
  if (request_.version == Version::Http10 || response_begun_) return;
  continued_ = continued_ || response_.status == 100;
  write_response_head(worker_.response_out(), response_, ConnectionLine::None);
  // At once: before this event is over the attempt may be given up for another.
  flush();
}

void Stream::on_response_head() {
  touch();
  keep_response_head();
  // Who receives a response without the time of its making adds it (RFC 9110 section 6.6.1).
  if (response_.framing != BodyFraming::Tunnel && !response_.headers.has(HeaderId::Date)) {
    response_.headers.add(HeaderId::Date, worker_.date());
  }
  encode(response_.has_body() ? EndOfStream::No : EndOfStream::Yes);
}

void Stream::encode(EndOfStream end) {
  if (route_ != nullptr) {
    apply_response(*route_, response_,
                   {.client = info_.client, .generation = context_->generation});
  }
  filters_.headers(Direction::Encode, end);
}

void Stream::reply_locally(const LocalReply& reply) {
  if (ended() || response_begun_) return;
  // To its client this would be a tunnel (RFC 9110 section 9.3.6), and the body what comes of it.
  if (request_.method == Method::Connect && reply.status < 300) {
    return reply_locally({.status = 405, .body = {}, .detail = reply.detail});
  }
  upstream_.cancel();
  request_dropped_ = true;
  info_.flag_detail = reply.detail;
  filters_.begin_local_reply();
  response_.clear();
  response_.status = reply.status;
  response_.reason = status_reason(reply.status);
  const bool explained = reply.body.empty() && reply.explains && reply.status >= 400;
  const std::string_view body = explained ? response_.reason : reply.body;
  const bool bodiless = reply.status == 204 || reply.status == 304;
  response_.framing = bodiless ? BodyFraming::None : BodyFraming::Length;
  response_.content_length = bodiless ? 0 : body.size();
  if (!body.empty() && !bodiless) response_.headers.add("content-type", reply.content_type);
  if (!reply.location.empty()) response_.headers.add("location", reply.location);
  response_.headers.add("date", worker_.date());
  response_.headers.add("server", "baton");
  Buffer data;
  if (!bodiless) data.append(body);
  encode(data.empty() ? EndOfStream::Yes : EndOfStream::No);
  if (ended()) return;
  filters_.data(Direction::Encode, data, EndOfStream::Yes);
  flush();
}

// A filter's timer may be due in the same iteration as what has ended the stream.
void Stream::reset_stream() {
  if (!ended()) end(AfterStream::Reset);
}

void Stream::on_upstream_failure(const UpstreamFailure& failure) {
  if (response_begun_) {
    // What there is of it is sent, so that the client sees as much as we did. A reset would take
    // back what is on its way, so only a client that cannot tell the end otherwise gets one.
    flush_all();
    if (ended()) return;
    return end(response_.framing == BodyFraming::UntilClose ? AfterStream::Reset
                                                            : AfterStream::Cut);
  }
  reply_locally({.status = failure.status, .body = {}, .detail = failure.detail});
}

bool Stream::rest_is_short() const {
  return request_.framing == BodyFraming::Length && body_.left() <= kDiscardBytes;
}

// A client that waits to be told to send its body may never send it: what comes next is either.
bool Stream::body_is_withheld() const {
  return request_.expects_continue && !continued_ && info_.received_bytes == 0;
}

// Whether it is the client's turn: there is more of its body to come, and somebody takes it.
bool Stream::client_stalls() const {
  return !body_.complete() && paused_request_ == 0 && !body_is_withheld();
}

// Whether the connection goes on after this response. Asked once, before its head is sent.
bool Stream::decide_persistence() {
  if (last_ || request_.persistence == Persistence::Close) return false;
  // What follows a CONNECT may be meant for the tunnel that it did not get.
  if (request_.method == Method::Connect) return false;
  // An error ahead of the request's end says that nobody wants the rest.
  const bool unwanted = request_dropped_ || response_.status >= 400;
  if (!body_.complete() && (body_is_withheld() || (unwanted && !rest_is_short()))) return false;
  if (context_->drain.keeps_movable() && host_->may_move()) return true;
  return !context_->drain.closes_now();
}

// How the body's end is told to this client.
void Stream::frame_response() {
  const bool endless =
      response_.framing == BodyFraming::Chunked || response_.framing == BodyFraming::UntilClose;
  if (endless && request_.version == Version::Http10) {
    response_.framing = BodyFraming::UntilClose;
    keep_alive_ = false;
  } else if (endless) {
    response_.framing = BodyFraming::Chunked;
  }
  chunked_ = response_.framing == BodyFraming::Chunked;
  body_allowed_ = request_.method != Method::Head;
}

void Stream::send_response_head(EndOfStream) {
  response_begun_ = true;
  info_.status = response_.status;
  context_->stats.count_response(response_.status);
  keep_alive_ = decide_persistence();
  if (response_.framing == BodyFraming::Tunnel) {
    const bool connect = request_.method == Method::Connect;
    write_response_head(worker_.response_out(), response_,
                        connect ? ConnectionLine::None : ConnectionLine::Upgrade);
    flush();
    if (!ended()) end(AfterStream::Tunnel);
    return;
  }
  frame_response();
  ConnectionLine line = keep_alive_ ? ConnectionLine::None : ConnectionLine::Close;
  if (keep_alive_ && request_.version == Version::Http10) line = ConnectionLine::KeepAlive;
  write_response_head(worker_.response_out(), response_, line);
}

void Stream::on_response_data(std::string_view data) {
  touch();
  if (filters_.empty()) return send_response_data(data);
  Buffer piece;
  piece.append(data);
  filters_.data(Direction::Encode, piece, EndOfStream::No);
}

void Stream::send_response_data(std::string_view data) {
  if (!body_allowed_) return;
  info_.sent_bytes += data.size();
  Buffer& out = worker_.response_out();
  if (chunked_) return write_chunk(out, data);
  if (!out.empty()) return out.append(data);
  host_->send(data);  // a large body's pieces are not copied
}

void Stream::on_response_end(HeaderMap* trailers) {
  if (filters_.empty()) return send_response_end(trailers);
  if (trailers != nullptr) {
    filters_.trailers(Direction::Encode, *trailers);
  } else {
    Buffer nothing;
    filters_.data(Direction::Encode, nothing, EndOfStream::Yes);
  }
  // One that stops keeps only what has not passed it.
  flush();
}

void Stream::send_response_end(HeaderMap* trailers) {
  if (chunked_ && body_allowed_) write_last_chunk(worker_.response_out(), trailers);
  flush();
  if (ended()) return;
  response_complete_ = true;
  // Nobody waits for the rest of a request that was answered in full.
  if (!body_.complete()) {
    request_dropped_ = true;
    upstream_.cancel();
    resume_reading(kUpstream | kFilters);
    if (!rest_is_short()) keep_alive_ = false;
  }
  end_if_complete();
}

void Stream::flush() {
  Buffer& out = worker_.response_out();
  if (out.empty()) return;
  if (!ended()) host_->send(out.view());
  out.clear();
}

// With what filters have kept so far.
void Stream::flush_all() {
  if (!response_complete_) filters_.pause_encoding();
  flush();
}

// --- flow control --------------------------------------------------------------------------------

void Stream::pause_reading(std::uint8_t reason) {
  if (std::exchange(paused_request_, paused_request_ | reason) == 0 && !ended() &&
      !body_.complete()) {
    host_->pause_request();
  }
}

void Stream::resume_reading(std::uint8_t reason) {
  const std::uint8_t before = paused_request_;
  paused_request_ &= static_cast<std::uint8_t>(~unsigned{reason});
  if (before != 0 && paused_request_ == 0 && !ended()) host_->resume_request();
}

void Stream::pause_response(std::uint8_t reason) {
  if (std::exchange(paused_response_, paused_response_ | reason) == 0) upstream_.pause_response();
}

void Stream::resume_response(std::uint8_t reason) {
  const std::uint8_t before = paused_response_;
  paused_response_ &= static_cast<std::uint8_t>(~unsigned{reason});
  if (before != 0 && paused_response_ == 0) upstream_.resume_response();
}

void Stream::on_chain_full(Direction direction) {
  direction == Direction::Decode ? pause_reading(kFilters) : pause_response(kFilters);
}

void Stream::on_chain_drained(Direction direction) {
  direction == Direction::Decode ? resume_reading(kFilters) : resume_response(kFilters);
}

void Stream::on_request_writable() {
  touch();
  resume_reading(kUpstream);
}

void Stream::on_client_slow() {
  waiting_then_ = host_->waiting_bytes();
  pause_response(kUpstream);
}

void Stream::on_client_ready() {
  touch();
  resume_response(kUpstream);
}

// --- time and end --------------------------------------------------------------------------------

void Stream::touch() {
  seems_idle_ = false;
  if (idle_queue_ != nullptr) idle_queue_->arm(idle_timeout_);
}

// The route's, instead of the listener's; 0: none.
void Stream::use_idle_timeout(std::chrono::milliseconds time) {
  idle_timeout_.disarm();
  idle_queue_ = time.count() > 0 ? &worker_.timeouts().of(time) : nullptr;
  touch();
}

bool Stream::client_takes_more() {
  if (!host_->client_is_slow()) return false;
  const std::uint32_t waiting = host_->waiting_bytes();
  return std::exchange(waiting_then_, waiting) != waiting;
}

void Stream::on_idle() {
  if (!std::exchange(seems_idle_, true)) {
    return worker_.timeouts().of(kTimeToRead).arm(idle_timeout_);
  }
  if (client_takes_more() || upstream_.endpoint_takes_more()) return touch();
  if (response_complete_) return end(AfterStream::Close);
  info_.flags.set(ResponseFlag::StreamIdleTimeout);
  last_ = true;
  if (response_begun_) return end(AfterStream::Reset);
  const bool slow_client = client_stalls();
  reply_locally({.status = static_cast<std::uint16_t>(slow_client ? 408 : 504),
                 .body = {},
                 .detail = slow_client ? "request_idle_timeout" : "stream_idle_timeout"});
}

void Stream::on_request_timeout() {
  if (response_complete_) return end(AfterStream::Close);
  info_.flags.set(ResponseFlag::RequestTimeout);
  last_ = true;
  if (response_begun_) return end(AfterStream::Reset);
  reply_locally({.status = 408, .body = {}, .detail = "request_timeout"});
}

void Stream::on_request_broken_off() {
  if (response_complete_ && !ended()) return end(AfterStream::Close);
  abort(ResponseFlag::DownstreamTermination);
}

void Stream::abort(ResponseFlag reason) {
  if (ended()) return;
  info_.flags.set(reason);
  end(AfterStream::Reset);
}

void Stream::end_if_complete() {
  if (!response_complete_ || ended()) return;
  if (keep_alive_ && !body_.complete()) return;
  end(keep_alive_ ? AfterStream::KeepAlive : AfterStream::Close);
}

void Stream::end(AfterStream after) {
  Host* const host = std::exchange(host_, nullptr);
  info_.duration = duration_cast<microseconds>(worker_.clock().now() - info_.started_at);
  if (context_->access_log != nullptr) {
    info_.started = std::chrono::system_clock::now() - info_.duration;
  }
  const bool incomplete = after == AfterStream::Reset || after == AfterStream::Cut;
  if (incomplete && response_begun_) context_->stats.resets_total.add();
  if (after == AfterStream::Tunnel) context_->stats.upgrades_total.add();
  context_->stats.duration_microseconds.record(static_cast<std::uint64_t>(info_.duration.count()));
  context_->stats.requests_active.sub();
  if (after != AfterStream::Tunnel) write_log();
  idle_timeout_.disarm();
  request_timeout_.disarm();
  if (after != AfterStream::Tunnel) upstream_.cancel();
  filters_.clear();
  host->on_stream_end(after);
  worker_.response_out().clear();
  reuse(kept_request_);
  reuse(kept_response_);
}

std::unique_ptr<TunnelRecord> Stream::tunnel_record() const {
  if (context_->access_log == nullptr) return nullptr;
  return std::make_unique<TunnelRecord>(make_tunnel_record(info_, request_, response_));
}

void Stream::write_log() {
  if (context_->access_log == nullptr) return;
  std::string& line = context_->log_line;
  line.clear();
  context_->log_format->render(line, info_, request_, response_begun_ ? &response_ : nullptr);
  context_->access_log->append(line);
}

}  // namespace baton::proxy::http
