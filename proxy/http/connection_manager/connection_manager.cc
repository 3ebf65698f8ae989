#include "proxy/http/connection_manager/connection_manager.h"

#include <algorithm>
#include <utility>

#include "proxy/network/tunnel_state.h"

namespace baton::proxy::http {

// A connection that waits consists of this, its Session and its FilterChain's links.
static_assert(sizeof(ConnectionManager) <= 136);

ConnectionManager::ConnectionManager(NetworkFilterCallbacks& callbacks, HttpContext& context)
    : callbacks_(callbacks), context_(context), parser_(context.config.limits) {}

ConnectionManager::~ConnectionManager() = default;

// --- from the client -----------------------------------------------------------------------------

FilterStatus ConnectionManager::on_data(Buffer& data, EndOfStream end) {
  if (tunnel_) {
    tunnel_->on_data(data, end);
    return FilterStatus::Continue;
  }
  if (!closing_ && waiting_.empty()) {
    process(data);
    wait_for_more(data);
  } else if (!closing_) {
    waiting_.append(data.view());
    process(waiting_);
    wait_for_more(waiting_);
  }
  data.clear();
  if (end == EndOfStream::Yes) {
    client_ended_ = true;
    on_client_end();
  }
  return FilterStatus::Continue;
}

void ConnectionManager::process(Buffer& input) {
  processed_ = &input;
  while (!closing_ && !tunnel_ && !input.empty()) {
    if (!stream_) {
      // The next answer is for a client that has taken the last one.
      if (boards_ || client_is_slow() || !read_head(input)) break;
      continue;
    }
    if (stream_->request_complete()) break;  // what follows is of later requests
    const std::size_t before = input.size();
    stream_->receive_body(input);
    if (input.size() == before) break;
  }
  if (stream_) stream_->on_input_read();
  processed_ = nullptr;
}

// What is left of the input after process().
void ConnectionManager::wait_for_more(Buffer& input) {
  if (closing_) {
    waiting_.release();
    return;
  }
  if (tunnel_) {
    if (!input.empty()) tunnel_->on_data(input, EndOfStream::No);
    waiting_.release();
    return;
  }
  if (&input != &waiting_) waiting_.append(input.view());
  if (waiting_.empty()) waiting_.release();
  // A head that is read has limits of its own.
  const bool is_ahead = stream_ != nullptr || boards_ || client_is_slow();
  is_ahead&& waiting_.size() >= kPipelineBytes ? pause(kPipeline) : resume(kPipeline);
}

// True: something of the input was used.
bool ConnectionManager::read_head(Buffer& input) {
  std::unique_ptr<Stream> stream = context_.worker.take_stream();
  const Verdict verdict = parser_.parse(input.view(), stream->request());
  if (verdict.need_more()) {
    context_.worker.retire(std::move(stream));
    if (drop_empty_lines(input)) return true;
    if (!reads_head_) {
      reads_head_ = true;
      timeout_.set<ConnectionManager, &ConnectionManager::on_header_timeout>(this);
      context_.header_timeout->arm(timeout_);
    }
    return false;
  }
  const auto begun_at = head_begun_at();
  reads_head_ = false;
  timeout_.disarm();
  stream_ = std::move(stream);
  ++requests_;
  empty_lines_ = 0;
  if (verdict.rejected()) {
    rejected_ = true;
    stream_->reject(*this, context_, verdict, begun_at);
    return false;
  }
  // Its texts stay where they are: consuming moves nothing.
  const std::string_view head = input.view().substr(0, verdict.consumed);
  input.consume(verdict.consumed);
  const std::uint32_t most = context_.config.max_requests_per_connection;
  const bool last = most != 0 && requests_ >= most;
  stream_->begin(
      *this, context_,
      {.bytes = head, .begun_at = begun_at, .last = last ? Stream::Last::Yes : Stream::Last::No});
  return true;
}

// When its first byte came: now, or when the timeout was armed for it.
Stream::Clock::time_point ConnectionManager::head_begun_at() const {
  const auto now = context_.worker.clock().now();
  if (!reads_head_) return now;
  // CoarseClock is the same clock, read less often.
  const auto armed_at = context_.header_timeout->armed_at(timeout_).time_since_epoch();
  return std::min(now, Stream::Clock::time_point(armed_at));
}

// What some clients send behind a request is not the beginning of the next one.
bool ConnectionManager::drop_empty_lines(Buffer& input) {
  const std::string_view bytes = input.view();
  if (!bytes.ends_with('\n') || bytes.find_first_not_of("\r\n") != bytes.npos) return false;
  // The parser has let them pass, so these are whole lines.
  const std::size_t lines = empty_lines_ + bytes.size() / 2;
  if (lines > RequestParser::kMaxLeadingLines) return false;
  empty_lines_ = static_cast<std::uint8_t>(lines);
  reads_head_ = false;
  timeout_.disarm();
  parser_.reset();
  input.clear();
  return true;
}

void ConnectionManager::on_header_timeout() {
  // The rest of the head may be here: nothing is read of a client that does not take its answers.
  if (client_is_slow()) return context_.header_timeout->arm(timeout_);
  stream_ = context_.worker.take_stream();
  rejected_ = true;
  const auto begun_at = head_begun_at();
  reads_head_ = false;
  stream_->reject_slow(*this, context_, begun_at);
}

// Nothing more comes from the client, and what had come has been looked at.
void ConnectionManager::on_client_end() {
  if (closing_) return;
  if (tunnel_) {
    Buffer nothing;
    return tunnel_->on_data(nothing, EndOfStream::Yes);
  }
  if (!stream_) {
    if (boards_ && !waiting_.empty()) return;  // where it goes on they are answered
    if (!client_is_slow()) return close(CloseMode::Now);
    // Requests may wait until it has taken the last answer.
    if (waiting_.empty()) close(CloseMode::Linger);
    return;
  }
  if (!stream_->request_complete()) return stream_->on_request_broken_off();
  if (context_.half_close_timeout == nullptr) return;
  timeout_.set<ConnectionManager, &ConnectionManager::on_half_close_over>(this);
  context_.half_close_timeout->arm(timeout_);
}

// A client that is still there gets what has begun; one that has gone resets it.
void ConnectionManager::on_half_close_over() {
  if (stream_ && !stream_->response_begun()) {
    stream_->abort(ResponseFlag::DownstreamTermination);
  }
}

// --- to the client -------------------------------------------------------------------------------

bool ConnectionManager::client_is_slow() const {
  return !callbacks_.tunnel().downstream.unsent.empty();
}

void ConnectionManager::on_downstream_full() {
  if (tunnel_) return tunnel_->on_downstream_full();
  if (stream_) stream_->on_client_slow();
}

void ConnectionManager::on_downstream_drained() {
  if (tunnel_) return tunnel_->on_downstream_drained();
  if (stream_) return stream_->on_client_ready();
  if (processed_ == nullptr && !closing_ && !waiting_.empty()) on_more_waiting();
}

void ConnectionManager::on_stream_end(AfterStream after) {
  timeout_.disarm();
  if (after == AfterStream::Tunnel) open_tunnel();
  const bool read_it_all = stream_->request_complete() && !rejected_;
  context_.worker.retire(std::move(stream_));
  switch (after) {
    case AfterStream::Reset:
      return close(CloseMode::Reset);
    case AfterStream::Cut:
      return close(CloseMode::Linger);
    case AfterStream::Close: {
      // Closing with input unread would reset the connection, and the answer on its way with it.
      const bool is_all = waiting_.empty() && (processed_ == nullptr || processed_->empty()) &&
                          (pauses_ & kStream) == 0;
      const bool clean = read_it_all && is_all && !client_is_slow();
      return close(clean ? CloseMode::Now : CloseMode::Linger);
    }
    case AfterStream::KeepAlive:
      // From here on it is idle. Sending has not looked at the clock, and receiving may be long
      // ago.
      callbacks_.tunnel().downstream.last_activity = CoarseClock::now();
      resume(kStream);
      if (board() || processed_ != nullptr) return;
      if (!waiting_.empty()) return read_soon();
      if (client_ended_) on_client_end();
      return;
    case AfterStream::Tunnel:
      return;
  }
}

// True: it does not read the next request here, but where it moves to.
bool ConnectionManager::board() {
  if (context_.drain.moving() != Moving::Now || client_ended_ || !callbacks_.board()) return false;
  boards_ = true;
  pause(kBoarding);
  return true;
}

// Not from within an event that others share.
void ConnectionManager::read_soon() {
  timeout_.set<ConnectionManager, &ConnectionManager::on_more_waiting>(this);
  context_.worker.run_soon(timeout_);
}

void ConnectionManager::on_more_waiting() {
  process(waiting_);
  wait_for_more(waiting_);
  if (client_ended_) on_client_end();
}

// From here on bytes go both ways as they come.
void ConnectionManager::open_tunnel() {
  UpstreamRequest::Tunnel upstream = stream_->take_tunnel();
  resume(kStream | kPipeline);
  tunnel_ = std::make_unique<Tunnel>(callbacks_, context_, upstream.cluster);
  tunnel_->open({.upstream = std::move(upstream),
                 .idle_timeout = stream_->idle_timeout(),
                 .record = stream_->tunnel_record(),
                 .waiting_bytes = processed_ != nullptr ? processed_->size() : waiting_.size()});
  // Else they do so who called process().
  if (processed_ != nullptr) return;
  if (!closing_) wait_for_more(waiting_);
  if (client_ended_) on_client_end();
}

void ConnectionManager::pause(std::uint8_t reason) {
  if (std::exchange(pauses_, pauses_ | reason) == 0) callbacks_.pause_reading();
}

void ConnectionManager::resume(std::uint8_t reason) {
  const std::uint8_t before = pauses_;
  pauses_ &= static_cast<std::uint8_t>(~unsigned{reason});
  if (before != 0 && pauses_ == 0) callbacks_.resume_reading();
}

// --- the end -------------------------------------------------------------------------------------

void ConnectionManager::close(CloseMode mode) {
  closing_ = true;
  callbacks_.close(mode);
}

void ConnectionManager::on_close(CloseMode mode, CloseCause cause) {
  closing_ = true;
  timeout_.disarm();
  if (processed_ == nullptr) waiting_.release();
  if (tunnel_) tunnel_->on_close(mode, cause);
  if (stream_) {
    stream_->abort(cause == CloseCause::Cut ? ResponseFlag::Drained
                                            : ResponseFlag::DownstreamTermination);
  }
}

bool ConnectionManager::freeze() {
  if (tunnel_) return tunnel_->freeze();
  if (stream_) return false;
  if (waiting_.empty()) return true;
  // A head that is being read is waited for; of what else waits nothing has been looked at.
  if (reads_head_) return false;
  const bool is_ahead = boards_ || client_is_slow();
  if (!is_ahead || waiting_.size() > MoveDetails::kMostUnreadBytes) return false;
  timeout_.disarm();
  return true;
}

void ConnectionManager::thaw() {
  if (tunnel_) return tunnel_->thaw();
  boards_ = false;
  resume(kBoarding);
  if (!waiting_.empty()) read_soon();
}

MoveDetails ConnectionManager::move_details() const {
  MoveDetails details = tunnel_ ? tunnel_->move_details() : MoveDetails{.kind = MoveKind::HttpIdle};
  details.requests = requests_;
  details.unread = waiting_.view();
  return details;
}

bool ConnectionManager::restore(const MoveDetails& details) {
  requests_ = details.requests;
  if (details.kind == MoveKind::HttpIdle) {
    if (!details.unread.empty()) waiting_.append(details.unread);
    client_ended_ = callbacks_.tunnel().downstream.read_ended;
    return true;
  }
  tunnel_ = std::make_unique<Tunnel>(callbacks_, context_, nullptr);
  return tunnel_->restore(details);
}

}  // namespace baton::proxy::http
