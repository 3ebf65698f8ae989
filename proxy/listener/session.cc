#include "proxy/listener/session.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "shared/os/seconds.h"

namespace baton::proxy {
namespace {

using std::chrono::milliseconds;

// A client that still talks when its connection ends must be heard out, or the reset that its bytes
// would cause takes away what it has been sent (RFC 9112 section 9.6). After it has been sent an
// end it may be silent for so long, and talk for so long; before, take nothing of what it is sent
// for so long.
constexpr milliseconds kLingerQuiet{5000};
constexpr milliseconds kLingerTime{30'000};
constexpr milliseconds kLingerStall{60'000};
constexpr milliseconds kLingerTick{1000};
constexpr milliseconds kTick{10};

// With its terminal filter and what the allocator adds, an idle tunnel stays below 750 bytes and a
// kept HTTP connection below 600. One byte more costs sixteen.
static_assert(sizeof(Session) <= 328);

}  // namespace

Session::Session(const Context& context, os::UniqueFd socket, const os::SocketAddress& client)
    : context_(context),
      state_{.downstream = {.fd = std::move(socket)},
             .client = client,
             .accepted = std::chrono::steady_clock::now()},
      downstream_(context.loop, state_.downstream, context.scratch, context.stats.bytes, *this),
      chain_(*this, context.filters),
      timer_(context.loop) {
  timer_.set<Session, &Session::on_timer>(this);
}

Session::Session(const Context& context, TunnelState state)
    : context_(context),
      state_(std::move(state)),
      downstream_(context.loop, state_.downstream, context.scratch, context.stats.bytes, *this),
      chain_(*this, context.filters),
      timer_(context.loop) {
  timer_.set<Session, &Session::on_timer>(this);
}

bool Session::restore(const MoveDetails& details) {
  downstream_.restore();
  return chain_.restore(details);
}

void Session::start() {
  state_.downstream.last_activity = CoarseClock::now();
  start_idle_timer();
  chain_.start();
  if (phase_ == Phase::Closed) return;
  downstream_.start();
  watch_client();
}

void Session::watch_client() {
  if (!client_watched_ && awaits_nothing()) context_.owner.on_session_awaits_nothing(*this);
}

void Session::cut() {
  if (phase_ == Phase::Closed) return;
  downstream_.send_now();  // whether that is all decides how it ends
  if (phase_ == Phase::Lingering && state_.downstream.write_ended) {
    finish(CloseMode::Now);
    return;
  }
  if (phase_ == Phase::Open && chain_.between_messages())
    return close(CloseMode::Now, CloseCause::Cut);
  context_.stats.connections_cut_total.add();
  close(CloseMode::Reset, CloseCause::Cut);
}

os::SocketAddress Session::local_address() const {
  return os::SocketAddress::of_socket(state_.downstream.fd.get()).value_or(os::SocketAddress());
}

void Session::send_downstream(Buffer& data, EndOfStream end) {
  if (end == EndOfStream::Yes && data.empty() && downstream_.all_sent() &&
      state_.downstream.read_ended && state_.upstream && state_.upstream->ended()) {
    // The last of the four ends: closing the sockets says the same with one system call less.
    close(CloseMode::Now);
    return;
  }
  if (downstream_.write(data, end) == WriteStatus::Failed) on_write_failed(errno);
}

void Session::send_downstream(std::string_view data) {
  if (downstream_.write(data) == WriteStatus::Failed) on_write_failed(errno);
}

void Session::on_received(Buffer& data, EndOfStream end) {
  if (phase_ == Phase::Open) {
    chain_.on_data(data, end);
    if (end == EndOfStream::Yes) watch_client();
  } else if (end == EndOfStream::Yes && state_.downstream.write_ended) {
    finish(CloseMode::Now);
  }
}

void Session::on_failed() { close(CloseMode::Reset, CloseCause::Client); }

// What a tunnel's client had said before it went away arrives. Not of a request: nobody would see
// what comes of it.
void Session::on_write_failed(int error) {
  if (state_.upstream) downstream_.deliver_rest(error);
  close(CloseMode::Reset, CloseCause::Client);
}

void Session::on_flushed() {
  if (phase_ == Phase::Open) {
    chain_.on_downstream_flushed();
    watch_client();
  } else if (state_.downstream.ended()) {
    finish(CloseMode::Now);
  } else {
    end_sent_ = CoarseClock::now();
  }
}

void Session::close(CloseMode mode, CloseCause cause) {
  if (phase_ == Phase::Closed) return;
  if (!sends_the_last() && mode == CloseMode::Now && cause != CloseCause::Cut) {
    mode = CloseMode::Linger;
  }
  chain_.close(mode, cause);
  mode == CloseMode::Linger ? begin_linger() : finish(mode);
}

// Whoever closes now believes that all was sent that was not in `unsent`.
bool Session::sends_the_last() {
  if (!state_.downstream.unsent.empty()) return true;
  downstream_.send_now();
  return state_.downstream.unsent.empty();
}

void Session::begin_linger() {
  phase_ = Phase::Lingering;
  Buffer nothing;
  // Without bytes to send this cannot fail.
  static_cast<void>(downstream_.write(nothing, EndOfStream::Yes));
  if (state_.downstream.ended()) {
    finish(CloseMode::Now);
    return;
  }
  downstream_.resume(PauseReason::Filter);
  downstream_.resume(PauseReason::FilterHold);
  end_sent_ = state_.downstream.last_activity = CoarseClock::now();
  timer_.start(os::seconds(kLingerTick));
}

void Session::finish(CloseMode mode) {
  if (phase_ == Phase::Closed) return;
  phase_ = Phase::Closed;
  timer_.stop();
  mode == CloseMode::Reset ? downstream_.reset() : downstream_.close();
  context_.owner.on_session_closed(*this);
}

void Session::on_timer(ev::timer&, int) {
  phase_ == Phase::Lingering ? on_linger_timer() : on_idle_timer();
}

// The timer is not touched when bytes pass; it looks back when it fires and sleeps for the rest. At
// least for one tick of the coarse clock: after a thaw the bytes that wait are read before it
// fires.
void Session::start_idle_timer() {
  if (!context_.idle_timeout || phase_ != Phase::Open) return;
  seems_idle_ = false;
  waiting_then_ = 0;
  const milliseconds left = *context_.idle_timeout - (CoarseClock::now() - state_.last_activity());
  timer_.start(os::seconds(std::max(left, kTick)));
}

// The loop tells of timers first: what came in time, while this process was kept from running, is
// seen within the tick before the second look. A peer that has not got everything is not idle while
// it takes something, and must not take the end for that of the whole.
void Session::on_idle_timer() {
  const bool is_idle = CoarseClock::now() - state_.last_activity() >= *context_.idle_timeout;
  if (!is_idle) return start_idle_timer();
  if (!seems_idle_) {
    seems_idle_ = true;
    return timer_.start(os::seconds(kTick));
  }
  seems_idle_ = false;
  const bool is_whole = state_.is_whole();
  if (!chain_.ends_when_idle() || (!is_whole && takes_more(state_.waiting_bytes()))) {
    return timer_.start(os::seconds(*context_.idle_timeout));
  }
  close(is_whole ? CloseMode::Now : CloseMode::Reset);
}

// Than when this was asked last.
bool Session::takes_more(std::uint32_t waiting) {
  return std::exchange(waiting_then_, waiting) != waiting;
}

void Session::on_linger_timer() {
  const auto now = CoarseClock::now();
  if (!state_.downstream.write_ended && takes_more(state_.downstream.waiting_bytes())) {
    end_sent_ = now;
  }
  const milliseconds since = now - end_sent_;
  const milliseconds silent = now - state_.downstream.last_activity;
  const bool is_over = state_.downstream.write_ended
                           ? silent >= kLingerQuiet || since >= kLingerTime
                           : since >= kLingerStall;
  if (!is_over) return timer_.start(os::seconds(kLingerTick));
  // Nobody must take the end for that of the whole.
  finish(state_.downstream.unsent.empty() ? CloseMode::Now : CloseMode::Reset);
}

bool Session::board() {
  if (stays_ || phase_ != Phase::Open) return false;
  boards_ = true;
  context_.owner.on_session_boards(*this);
  return true;
}

void Session::go_on() {
  boards_ = false;
  chain_.thaw();
}

bool Session::freeze() {
  if (phase_ != Phase::Open || !chain_.freeze()) return false;
  if (!downstream_.freeze()) {
    chain_.thaw();
    return false;
  }
  boards_ = false;
  timer_.stop();
  return true;
}

void Session::thaw() {
  downstream_.thaw();
  chain_.thaw();
  watch_client();
  start_idle_timer();
}

}  // namespace baton::proxy
