#include "proxy/http/router/upstream_request.h"

#include <utility>

#include "proxy/http/codec/chunked_encoder.h"
#include "proxy/http/codec/keep_alive.h"
#include "proxy/http/codec/write_head.h"
#include "proxy/upstream/cluster.h"

namespace baton::proxy::http {
namespace {

using std::chrono::duration_cast;
using std::chrono::microseconds;

// What a request may leave behind in its buffer for the next one that uses this object.
constexpr std::size_t kKeptBytes = 4096;
constexpr std::uint16_t kContinue = 100;
// Until a timeout is looked at again that has expired beside something that has come.
constexpr std::chrono::milliseconds kSecondLook{1};

constexpr UpstreamFailure kOverflow{503, ResponseFlag::UpstreamOverflow, "upstream_overflow"};
constexpr UpstreamFailure kNobody{503, ResponseFlag::NoHealthyUpstream, "no_healthy_upstream"};
constexpr UpstreamFailure kNoConnection{503, ResponseFlag::UpstreamConnectFailure,
                                        "upstream_connect_failure"};
constexpr UpstreamFailure kClosed{502, ResponseFlag::UpstreamReset, "upstream_closed"};
constexpr UpstreamFailure kTooSlow{504, ResponseFlag::UpstreamTimeout, "upstream_timeout"};
constexpr UpstreamFailure kNoPlace{504, ResponseFlag::UpstreamTimeout, "no_free_connection"};
constexpr UpstreamFailure kUnasked{502, ResponseFlag::UpstreamProtocolError,
                                   "response_without_request"};
constexpr UpstreamFailure kFlood{502, ResponseFlag::UpstreamProtocolError,
                                 "too_many_interim_responses"};

}  // namespace

UpstreamRequest::UpstreamRequest(const MessageLimits& limits, Sink& sink, StreamInfo& info,
                                 ResponseHead& response)
    : sink_(sink),
      info_(info),
      response_(response),
      parser_(limits),
      body_(limits),
      attempts_(info) {
  timeout_.set<UpstreamRequest, &UpstreamRequest::on_timeout>(this);
  per_try_timeout_.set<UpstreamRequest, &UpstreamRequest::on_per_try_timeout>(this);
}

UpstreamRequest::~UpstreamRequest() { cancel(); }

// --- the way there -------------------------------------------------------------------------------

void UpstreamRequest::start(const Plan& plan) {
  context_ = &plan.context;
  route_ = &plan.route;
  attempts_.begin(context_->pool.cluster(), plan.route, plan.hash);
  answered_ = {.method = plan.head.method, .upgrade = plan.upgrade};
  connect_ = plan.connect;
  shares_ = plan.opening.empty();
  chunked_ = plan.head.framing == BodyFraming::Chunked;
  request_sent_ = !plan.head.has_body();
  repeatable_ =
      route_->retry ? route_->retry->may_repeat(plan.head.method) : is_idempotent(plan.head.method);
  kept_all_ = true;
  response_paused_ = connected_late_ = false;
  head_bytes_ = {};
  timeout_queue_ = route_->timeout ? &context_->timeouts.of(*route_->timeout) : nullptr;
  context_->stats.requests_active.add();
  request_guard_ = context_->pool.cluster().try_acquire(Circuit::Requests);
  if (!request_guard_) return fail(kOverflow);
  kept_.append(plan.opening);
  if (!connect_) {
    const ConnectionLine line = shares_ ? ConnectionLine::None : ConnectionLine::Close;
    write_request_head(kept_, plan.head, plan.upgrade.empty() ? line : ConnectionLine::Upgrade);
  }
  awaits_continue_ = plan.head.expects_continue && !request_sent_;
  if (request_sent_ || awaits_continue_) arm_timeout();
  begin_attempt(Pick::Pooled);
}

void UpstreamRequest::begin_attempt(Pick pick) {
  count_attempt();
  connection_guard_ = context_->pool.cluster().try_connect_now();
  connection_guard_ ? go_to_any_endpoint(pick) : wait_for_place(pick);
}

void UpstreamRequest::count_attempt() {
  ++info_.attempts;
  interim_responses_ = 0;
  context_->stats.requests_total.add();
}

void UpstreamRequest::wait_for_place(Pick pick) {
  Cluster& cluster = context_->pool.cluster();
  if (!cluster.any_available()) return fail(kNobody);
  pending_guard_ = cluster.try_acquire(Circuit::PendingRequests);
  if (!pending_guard_) return fail(kOverflow);
  begin_to_wait();
  pick_ = pick;
  ticket_ = cluster.wait_for_place(*this);
}

// For a connection. A client that is not read any more does not get to the end of its request.
void UpstreamRequest::begin_to_wait() {
  phase_ = Phase::Connecting;
  if (!timeout_.armed()) arm_timeout();
}

void UpstreamRequest::on_place(CircuitGuard place) {
  ticket_.reset();
  connection_guard_ = std::move(place);
  go_to_any_endpoint(pick_);
}

void UpstreamRequest::go_to_any_endpoint(Pick pick) {
  auto endpoint = attempts_.pick();
  if (!endpoint) return fail(kNobody);
  go_to(std::move(endpoint), pick);
}

void UpstreamRequest::go_to(std::shared_ptr<const Endpoint> endpoint, Pick pick) {
  if (!connect_ && shares_ && pick == Pick::Pooled) {
    using Look = UpstreamPool::Look;
    const Look look = is_sure_of_stale_retry() ? Look::No : Look::Yes;
    UpstreamConnection* const idle = context_->pool.take(*endpoint, connection_guard_, look);
    if (idle != nullptr) {
      pending_guard_ = {};
      return go_on_with(*idle);
    }
  }
  connect_to(std::move(endpoint));
}

void UpstreamRequest::connect_to(std::shared_ptr<const Endpoint> endpoint) {
  Cluster& cluster = context_->pool.cluster();
  context_->pool.make_room();
  if (!pending_guard_) pending_guard_ = cluster.try_acquire(Circuit::PendingRequests);
  if (!pending_guard_) return fail(kOverflow);
  begin_to_wait();
  info_.endpoint = endpoint;
  connector_ =
      std::make_unique<Connector>(context_->loop, cluster, static_cast<Connector::Sink&>(*this),
                                  route_->retry ? route_->retry->per_try_timeout : std::nullopt);
  connector_->start_at(std::move(endpoint));
}

void UpstreamRequest::on_connected(os::UniqueFd socket, std::shared_ptr<const Endpoint> endpoint) {
  connector_.reset();
  pending_guard_ = {};
  go_on_with(
      context_->pool.add(std::move(socket), std::move(endpoint), std::move(connection_guard_)));
}

// The endpoint cannot be reached. The places among the connections and among those that wait for
// one stay this request's.
void UpstreamRequest::on_exhausted() {
  info_.endpoint = connector_->failed().back();
  connector_.reset();
  attempts_.note_tried(info_.endpoint);
  auto endpoint = attempts_.pick_after_connect_failure();
  if (!endpoint) return fail(kNoConnection);
  context_->stats.retries_total.add();
  count_attempt();
  go_to(std::move(endpoint), attempts_.stale_retry_used() ? Pick::Fresh : Pick::Pooled);
}

void UpstreamRequest::go_on_with(UpstreamConnection& connection) {
  connection_ = &connection;
  connection.use(*this);
  if (!request_sent_ && !awaits_continue_) timeout_.disarm();
  // It was there in time: so shall be the answer.
  if (std::exchange(connected_late_, false) && timeout_.armed()) arm_timeout();
  attempts_.connected();
  phase_ = Phase::AwaitingHead;
  info_.endpoint = connection.endpoint();
  use_ = EndpointUse(*connection.endpoint());
  used_in_ = context_->loop.iteration();
  sent_at_ = context_->clock.now();
  if (response_paused_) connection.pause();
  if (connect_) {
    if (!kept_.empty()) write(kept_.view());
    begin_tunnel();
    response_.clear();
    response_.status = 200;
    response_.reason = "OK";
    response_.framing = BodyFraming::Tunnel;
    return sink_.on_response_head();
  }
  if (request_sent_ || awaits_continue_) arm_per_try_timeout();
  if (!held_) send_kept();
}

void UpstreamRequest::send_kept() {
  write(kept_.view());
  if (!connection_->full()) sink_.on_request_writable();
}

void UpstreamRequest::release_hold() {
  const bool waits = std::exchange(held_, false) && active() && phase_ == Phase::AwaitingHead;
  if (waits) send_kept();
}

void UpstreamRequest::send_data(std::string_view data) {
  if (!active()) return;
  if (awaits_continue_) wait_for_client();
  if (!chunked_) return pass_on(data);
  write_chunk(context_->out, data);
  if (!collecting_) pass_on_pieces();
}

void UpstreamRequest::end_pieces() {
  collecting_ = false;
  if (active()) pass_on_pieces();
}

void UpstreamRequest::pass_on_pieces() {
  Buffer& out = context_->out;
  if (out.empty()) return;
  pass_on(out.view());
  out.clear();
}

void UpstreamRequest::send_end(const HeaderMap* trailers) {
  if (!active()) return;
  request_sent_ = true;
  awaits_continue_ = false;
  if (chunked_) {
    write_last_chunk(context_->out, trailers);
    pass_on_pieces();
  }
  arm_timeout();
  if (phase_ != Phase::AwaitingHead) return;
  sent_at_ = context_->clock.now();
  arm_per_try_timeout();
}

// To the endpoint, and to where it is kept as long as it may be needed again.
void UpstreamRequest::pass_on(std::string_view bytes) {
  if (phase_ == Phase::Connecting || held_) {
    kept_.append(bytes);
    if (kept_.size() > kWaitingBytes) sink_.on_request_blocked();
    return;
  }
  if (phase_ == Phase::AwaitingHead && kept_all_) {
    if (repeatable_ && kept_.size() + bytes.size() <= kReplayBytes) {
      kept_.append(bytes);
    } else {
      kept_all_ = false;
      kept_.release();
    }
  }
  write(bytes);
}

void UpstreamRequest::write(std::string_view bytes) {
  connection_->write(bytes);
  if (!connection_->full()) return;
  if (!request_sent_ && !timeout_.armed()) wait_for_endpoint();
  sink_.on_request_blocked();
}

// While the endpoint takes no more, it is not the client that the request waits for.
void UpstreamRequest::wait_for_endpoint() {
  taken_before_ = connection_->taken_bytes();
  arm_timeout();
}

// It is the client's turn to send the rest.
void UpstreamRequest::wait_for_client() {
  awaits_continue_ = false;
  if (phase_ != Phase::AwaitingHead && phase_ != Phase::Body) return;
  timeout_.disarm();
  per_try_timeout_.disarm();
}

void UpstreamRequest::on_upstream_flushed() {
  if (!request_sent_ && !awaits_continue_) wait_for_client();
  if (phase_ == Phase::AwaitingHead || phase_ == Phase::Body) sink_.on_request_writable();
}

// --- the way back --------------------------------------------------------------------------------

void UpstreamRequest::on_upstream_data(Buffer& data, EndOfStream end) {
  if (is_unasked(data)) return on_unasked_data();
  UpstreamConnection* const connection = connection_;
  Buffer joined;
  if (!pending_.empty()) {
    pending_.append(data.view());
    joined.swap(pending_);
  }
  Buffer& input = joined.empty() ? data : joined;
  while (connection_ == connection && !input.empty() && read_some(input)) {
  }
  if (connection_ != connection) return;
  if (!input.empty()) pending_.append(input.view());
  if (end == EndOfStream::Yes) {
    return on_closed_by_endpoint(connection->was_reset() ? Closed::Reset : Closed::Cleanly);
  }
  sink_.on_response_pause();
}

// What epoll has told in the iteration in which a kept connection was given to this request had
// come before the request could be sent: it belongs to an earlier one, or to nobody.
bool UpstreamRequest::is_unasked(const Buffer& data) const {
  return phase_ == Phase::AwaitingHead && !data.empty() && connection_->requests_served() > 0 &&
         used_in_ == context_->loop.iteration();
}

void UpstreamRequest::on_unasked_data() {
  context_->stats.protocol_errors_total.add();
  if (!take_stale_retry()) fail(kUnasked);
}

bool UpstreamRequest::read_some(Buffer& input) {
  return phase_ == Phase::AwaitingHead ? read_head(input) : read_body(input);
}

bool UpstreamRequest::read_head(Buffer& input) {
  const Verdict verdict = parser_.parse(input.view(), answered_, response_);
  if (verdict.need_more()) return false;
  if (verdict.rejected()) {
    context_->stats.protocol_errors_total.add();
    outcome_ = Outcome::ServerError;
    fail({kBadGateway, ResponseFlag::UpstreamProtocolError, verdict.rejection->flag});
    return false;
  }
  // The head's texts stay where they are: consuming moves nothing.
  head_bytes_ = input.view().substr(0, verdict.consumed);
  input.consume(verdict.consumed);
  if (!response_.interim()) {
    on_final_head(input);
  } else if (++interim_responses_ > kMaxInterimResponses) {
    context_->stats.protocol_errors_total.add();
    outcome_ = Outcome::ServerError;
    fail(kFlood);
  } else {
    if (awaits_continue_ && response_.status == kContinue) wait_for_client();
    sink_.on_interim_head();
  }
  return true;
}

void UpstreamRequest::on_final_head(Buffer& rest) {
  const bool server_error = response_.status >= 500;
  outcome_ = server_error ? Outcome::ServerError : Outcome::Success;
  if (route_->retry && route_->retry->on_status(response_.status) && may_send_again() &&
      attempts_.take_retry()) {
    return retry(Pick::Pooled);
  }
  per_try_timeout_.disarm();
  info_.upstream_time = duration_cast<microseconds>(context_->clock.now() - sent_at_);
  context_->stats.first_byte_microseconds.record(
      static_cast<std::uint64_t>(info_.upstream_time.count()));
  if (response_.headers.has(HeaderId::KeepAlive)) {
    if (const auto time = keep_alive_time(response_.headers.get(HeaderId::KeepAlive))) {
      connection_->endpoint_keeps(*time);
    }
  }
  phase_ = Phase::Body;
  if (response_.framing == BodyFraming::Tunnel) {
    begin_tunnel();
    tunnelled_.append(rest.view());
    rest.clear();
    return sink_.on_response_head();
  }
  body_.begin(response_);
  if (!body_.complete()) wait_for_more();
  UpstreamConnection* const connection = connection_;
  sink_.on_response_head();
  if (connection_ == connection && body_.complete()) {
    on_response_complete(rest.empty() ? Reuse::Yes : Reuse::No);
  }
}

// What the endpoint says from here on is for whoever takes the tunnel.
void UpstreamRequest::begin_tunnel() {
  phase_ = Phase::Tunnel;
  connection_->pause();
}

bool UpstreamRequest::read_body(Buffer& input) {
  UpstreamConnection* const connection = connection_;
  const BodyReader::Step step = body_.read(input.view());
  if (step.rejection != nullptr) {
    context_->stats.protocol_errors_total.add();
    outcome_ = Outcome::ServerError;
    fail({kBadGateway, ResponseFlag::UpstreamProtocolError, step.rejection->flag});
    return false;
  }
  if (!step.data.empty()) sink_.on_response_data(step.data);
  if (connection_ != connection) return false;
  input.consume(step.consumed);
  if (body_.complete()) {
    on_response_complete(input.empty() ? Reuse::Yes : Reuse::No);
    return false;
  }
  wait_for_more();
  return step.consumed > 0;
}

// Of the response. While the request is not all there, it may be the client's turn, however long
// that takes: then the time is not armed.
void UpstreamRequest::wait_for_more() {
  if (request_sent_ || timeout_.armed()) arm_timeout();
}

// What the endpoint says behind its response is not an answer to anything.
void UpstreamRequest::on_response_complete(Reuse reuse) {
  HeaderMap* const trailers = body_.trailers();
  const bool persists = response_.persistence == Persistence::KeepAlive &&
                        response_.framing != BodyFraming::UntilClose && request_sent_;
  finish(persists ? reuse : Reuse::No);
  sink_.on_response_end(trailers);
}

void UpstreamRequest::on_upstream_failed() { on_closed_by_endpoint(Closed::Reset); }

void UpstreamRequest::on_closed_by_endpoint(Closed how) {
  if (phase_ == Phase::Tunnel) return fail(kClosed);
  if (phase_ == Phase::Body) {
    // A reset ends no body: nobody knows how much of it there was to come.
    if (how == Closed::Cleanly && body_.end_of_stream()) return on_response_complete(Reuse::No);
    context_->stats.resets_total.add();
    outcome_ = Outcome::ServerError;
    return fail(kClosed);
  }
  // A kept-alive connection that the endpoint has closed just now says nothing about the endpoint.
  const bool stale = connection_->requests_served() > 0 && !connection_->received_anything();
  if (stale && take_stale_retry()) return;
  context_->stats.resets_total.add();
  outcome_ = Outcome::ServerError;
  if (route_->retry && route_->retry->on_reset() && may_send_again() && attempts_.take_retry()) {
    return retry(Pick::Fresh);
  }
  fail(kClosed);
}

// --- once more -----------------------------------------------------------------------------------

bool UpstreamRequest::may_send_again() const { return kept_all_ && repeatable_; }

// Of one whose body is still to come nobody knows yet whether all of it can be kept.
bool UpstreamRequest::is_sure_of_stale_retry() const {
  return may_send_again() && request_sent_ && !attempts_.stale_retry_used();
}

bool UpstreamRequest::take_stale_retry() {
  if (!may_send_again() || !attempts_.take_stale_retry()) return false;
  drop_connection();
  begin_attempt(Pick::Fresh);
  return true;
}

void UpstreamRequest::retry(Pick pick) {
  context_->stats.retries_total.add();
  if (connection_ != nullptr) attempts_.note_tried(connection_->endpoint());
  drop_connection();
  begin_attempt(pick);
}

// --- time ----------------------------------------------------------------------------------------

void UpstreamRequest::arm_timeout() {
  if (timeout_queue_ != nullptr) timeout_queue_->arm(timeout_);
}

void UpstreamRequest::arm_per_try_timeout() {
  if (route_->retry && route_->retry->per_try_timeout) {
    context_->timeouts.of(*route_->retry->per_try_timeout).arm(per_try_timeout_);
  }
}

// The loop tells of timers first, and of so many sockets only in one iteration: what came in time,
// while this process was kept from running, is there and has not been read yet.
bool UpstreamRequest::has_unread() const {
  return connection_ != nullptr && phase_ != Phase::Tunnel && !connection_->is_quiet();
}

void UpstreamRequest::look_again(Timeout& timeout) {
  context_->timeouts.of(kSecondLook).arm(timeout);
}

bool UpstreamRequest::endpoint_takes_more() {
  if (connection_ == nullptr || !connection_->full()) return false;
  const std::uint64_t taken = connection_->taken_bytes();
  return std::exchange(taken_then_, taken) != taken;
}

void UpstreamRequest::on_timeout() {
  if (phase_ == Phase::Body && response_paused_) return arm_timeout();
  connected_late_ = connector_ && connector_->is_ready();
  if (connected_late_ || (!response_paused_ && has_unread())) return look_again(timeout_);
  // It takes the request, though slowly.
  const bool has_it = phase_ == Phase::AwaitingHead || phase_ == Phase::Body;
  const bool waits = has_it && !awaits_continue_ && (!request_sent_ || connection_->holds_bytes());
  if (waits && connection_->taken_bytes() != taken_before_) return wait_for_endpoint();
  context_->stats.timeouts_total.add();
  outcome_ = Outcome::ServerError;
  if (connector_) {
    // Its own time may be longer than this: without a word each request would find out anew.
    info_.endpoint = connector_->endpoint();
    connector_->give_up();
  }
  fail(ticket_ ? kNoPlace : kTooSlow);
}

void UpstreamRequest::on_per_try_timeout() {
  if (!response_paused_ && has_unread()) return look_again(per_try_timeout_);
  context_->stats.timeouts_total.add();
  outcome_ = Outcome::ServerError;
  if (route_->retry->on_reset() && may_send_again() && attempts_.take_retry())
    return retry(Pick::Fresh);
  fail(kTooSlow);
}

// --- the end -------------------------------------------------------------------------------------

void UpstreamRequest::pause_response() {
  response_paused_ = true;
  if (connection_ != nullptr) connection_->pause();
}

void UpstreamRequest::resume_response() {
  response_paused_ = false;
  if (connection_ != nullptr && phase_ != Phase::Tunnel) connection_->resume();
}

// A connection that has not seen anything of the request is as good as before.
void UpstreamRequest::cancel() {
  if (active()) finish(held_ ? Reuse::Yes : Reuse::No);
}

UpstreamRequest::Tunnel UpstreamRequest::take_tunnel() {
  const bool failed = connection_->write_failed();
  Tunnel tunnel{.leg = connection_->release(),
                .received = std::move(tunnelled_),
                .endpoint = connection_->endpoint(),
                .cluster = &context_->pool.cluster(),
                .circuit = connection_->take_circuit(),
                .failed = failed};
  finish(Reuse::No);
  return tunnel;
}

// Once an attempt: a good head with half a body behind it is a failure, and only one.
void UpstreamRequest::report_outcome() {
  if (connection_ != nullptr && outcome_) {
    context_->pool.cluster().report(*connection_->endpoint(), *outcome_);
  }
  outcome_.reset();
}

void UpstreamRequest::fail(const UpstreamFailure& failure) {
  info_.flags.set(failure.flag);
  info_.flag_detail = failure.detail;
  finish(Reuse::No);
  sink_.on_upstream_failure(failure);
}

void UpstreamRequest::drop_connection() {
  report_outcome();
  if (connection_ != nullptr) context_->pool.close(*std::exchange(connection_, nullptr));
  pending_.clear();
  parser_.reset();
  per_try_timeout_.disarm();
  use_ = {};
}

void UpstreamRequest::finish(Reuse reuse) {
  report_outcome();
  if (reuse == Reuse::Yes && shares_ && connection_ != nullptr) {
    context_->pool.give_back(*std::exchange(connection_, nullptr));
  }
  drop_connection();
  if (collecting_) context_->out.clear();
  timeout_.disarm();
  connector_.reset();
  if (ticket_) context_->pool.cluster().leave_queue(*std::exchange(ticket_, nullptr));
  request_guard_ = {};
  pending_guard_ = {};
  connection_guard_ = {};
  attempts_.end();
  kept_.capacity() > kKeptBytes ? kept_.release() : kept_.clear();
  tunnelled_.release();  // this object's next request is another client's
  context_->stats.requests_active.sub();
  context_ = nullptr;
  phase_ = Phase::Idle;
}

}  // namespace baton::proxy::http
