#include "proxy/network/connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "proxy/network/socket_io.h"
#include "proxy/worker/event_loop.h"

namespace baton::proxy {
namespace {

// Fairness: how many full buffers in a row one connection may carry before the others' turn.
constexpr int kReadsPerTurn = 4;

bool is_temporary(int error) { return error == EAGAIN || error == EINTR; }

}  // namespace

Connection::Connection(ev::loop_ref loop, LegState& leg, Buffer& scratch,
                       const ByteCounters& counters, ConnectionSink& sink)
    : leg_(leg), scratch_(scratch), counters_(&counters), sink_(sink), io_(loop) {
  io_.set<Connection, &Connection::on_ready>(this);
}

void Connection::start() {
  started_ = true;
  leg_.last_activity = CoarseClock::now();
  full_ = leg_.unsent.size() >= kHighWatermark;
  watch();
}

void Connection::restore() {
  started_ = frozen_ = true;
  full_ = leg_.unsent.size() >= kHighWatermark;
}

// Of the socket's events reading comes first: a peer that answered and then reset is heard before
// the write fails.
void Connection::on_ready(ev::io&, int events) {
  if (failure_ != 0) sink_.on_write_failed(std::exchange(failure_, 0));
  if ((events & ev::READ) != 0) {
    int turns = kReadsPerTurn;
    while ((watched_ & ev::READ) != 0 && failure_ == 0 && receive() == Received::Full &&
           --turns > 0) {
    }
  }
  if ((events & ev::WRITE) != 0 && (watched_ & ev::WRITE) != 0) flush();
}

// A buffer that was not filled has emptied the socket: no second recv, and should more have come
// meanwhile, level-triggered epoll tells.
Connection::Received Connection::receive() {
  scratch_.clear();
  const ssize_t count = socket_receive(leg_.fd.get(), scratch_.writable());
  if (count > 0) [[likely]] {
    const auto bytes = static_cast<std::size_t>(count);
    scratch_.commit(bytes);
    leg_.received_bytes += bytes;
    leg_.last_activity = CoarseClock::now();
    counters_->received.add(bytes);
    const Received received = scratch_.writable().empty() ? Received::Full : Received::Part;
    sink_.on_received(scratch_, EndOfStream::No);
    scratch_.clear();
    return received;
  }
  if (count == 0) {
    end_reading();
  } else if (!is_temporary(errno)) {
    fail();
  }
  return Received::Part;
}

void Connection::end_reading() {
  leg_.read_ended = true;
  watch();
  sink_.on_received(scratch_, EndOfStream::Yes);
}

// The kernel tells once of a reset: EPIPE when it came behind a FIN, else ECONNRESET (tcp_reset()).
// A unix socket's writer always gets EPIPE; there recv() fails if the peer did not end in order.
void Connection::deliver_rest(int error) {
  if (leg_.read_ended || !leg_.fd.valid()) return;
  // Bounded by what the receive buffer of a dead connection can hold; nothing is added to it.
  constexpr int kMostReads = 256;
  for (int i = 0; i < kMostReads && leg_.fd.valid(); ++i) {
    scratch_.clear();
    const ssize_t count = socket_receive(leg_.fd.get(), scratch_.writable());
    if (count == 0 && error == EPIPE) end_reading();
    if (count <= 0) break;
    const auto bytes = static_cast<std::size_t>(count);
    scratch_.commit(bytes);
    leg_.received_bytes += bytes;
    counters_->received.add(bytes);
    sink_.on_received(scratch_, EndOfStream::No);
  }
  scratch_.clear();
}

WriteStatus Connection::write(Buffer& data, EndOfStream end) {
  if (end == EndOfStream::No ? queue(data.view()) : send_ahead(data.view())) {
    data.clear();
    return WriteStatus::Ok;
  }
  if (leg_.unsent.empty() && !frozen_ && !data.empty() && send_from(data) == WriteStatus::Failed) {
    data.clear();
    return WriteStatus::Failed;
  }
  if (!data.empty()) {
    leg_.unsent.append(data.view());
    data.clear();
    full_ = full_ || leg_.unsent.size() >= kHighWatermark;
  }
  if (end == EndOfStream::Yes) {
    leg_.end_queued = true;
    send_end_if_due();
  }
  watch();
  return WriteStatus::Ok;
}

WriteStatus Connection::write(std::string_view data) {
  if (queue(data)) return WriteStatus::Ok;
  std::size_t sent = 0;
  if (leg_.unsent.empty() && !frozen_ && !data.empty() &&
      send_some(data, sent) == WriteStatus::Failed) {
    return WriteStatus::Failed;
  }
  if (sent < data.size()) {
    leg_.unsent.append(data.substr(sent));
    full_ = full_ || leg_.unsent.size() >= kHighWatermark;
    watch();
  }
  return WriteStatus::Ok;
}

// True: the caller has nothing left to do. They are queued, or would follow what could not be sent.
bool Connection::queue(std::string_view data) {
  if (!sends_next() || !EventLoop::send_queue(io_.loop).take(*this, data)) return send_ahead(data);
  queued_ = true;
  leg_.sent_bytes += data.size();
  return true;
}

// Before the caller sends `data`, or puts it behind what waits: sends what is in the queue ahead of
// it. True as above.
bool Connection::send_ahead(std::string_view data) {
  if (sends_next() && !data.empty()) {
    EventLoop::send_queue(io_.loop).send_all();
  } else {
    send_now();
  }
  return failure_ != 0;
}

void Connection::send_now() {
  if (queued_) EventLoop::send_queue(io_.loop).send_all();
}

int Connection::queue_target() const { return sends_next() ? leg_.fd.get() : -1; }

void Connection::on_queue_sent(std::string_view data, int result) {
  queued_ = false;
  leg_.sent_bytes -= data.size();
  if (failure_ != 0) return;
  if (result < 0 && !is_temporary(-result)) {
    failure_ = static_cast<std::uint16_t>(-result);
    tell_failure();
    return;
  }
  const auto sent = static_cast<std::size_t>(std::max(result, 0));
  leg_.sent_bytes += sent;
  counters_->sent.add(sent);
  if (sent < data.size()) {
    leg_.unsent.append(data.substr(sent));
    full_ = leg_.unsent.size() >= kHighWatermark;
    watch();
  }
}

// Not from here: whoever has made the queue send is not prepared for it.
void Connection::tell_failure() { ev_feed_event(io_.loop, &io_, EV_CUSTOM); }

// What would block stays in `data`: that is not a failure.
WriteStatus Connection::send_from(Buffer& data) {
  std::size_t sent = 0;
  const WriteStatus status = send_some(data.readable(), sent);
  data.consume(sent);
  return status;
}

WriteStatus Connection::send_some(std::span<const char> data, std::size_t& sent) {
  const ssize_t count = socket_send(leg_.fd.get(), data);
  if (count < 0) return is_temporary(errno) ? WriteStatus::Ok : WriteStatus::Failed;
  sent = static_cast<std::size_t>(count);
  leg_.sent_bytes += sent;
  counters_->sent.add(sent);
  return WriteStatus::Ok;
}

void Connection::flush() {
  // Elsewhere bytes are sent as they are received, and receiving has looked at the clock.
  leg_.last_activity = CoarseClock::now();
  if (send_from(leg_.unsent) == WriteStatus::Failed) {
    deliver_rest(errno);
    if (leg_.fd.valid()) fail();
    return;
  }
  if (leg_.unsent.size() > kLowWatermark) return;
  if (leg_.unsent.empty()) leg_.unsent.release();
  full_ = false;
  send_end_if_due();
  watch();
  sink_.on_flushed();
}

void Connection::send_end_if_due() {
  if (!leg_.end_queued || leg_.write_ended || frozen_ || !leg_.unsent.empty()) return;
  // A failure means that the peer has gone; reading tells so.
  ::shutdown(leg_.fd.get(), SHUT_WR);
  leg_.write_ended = true;
}

void Connection::fail() {
  io_.stop();
  watched_ = 0;
  sink_.on_failed();
}

void Connection::pause(PauseReason reason) {
  pauses_ |= static_cast<std::uint8_t>(reason);
  watch();
}

void Connection::resume(PauseReason reason) {
  pauses_ &= static_cast<std::uint8_t>(~static_cast<unsigned>(reason));
  watch();
}

// Brings the watcher in line with the state; in steady state there is nothing to do.
void Connection::watch() {
  int wanted = 0;
  if (started_ && !frozen_ && leg_.fd.valid()) {
    if (pauses_ == 0 && !leg_.read_ended) wanted |= ev::READ;
    if (!leg_.unsent.empty()) wanted |= ev::WRITE;
  }
  if (wanted == watched_) return;
  watched_ = static_cast<std::uint8_t>(wanted);
  io_.stop();
  if (failure_ != 0) tell_failure();
  if (wanted == 0) return;
  // Naming the descriptor makes libev register it anew even if it believes it already has: it may
  // have been removed behind libev's back (EventLoop::forget_fd).
  io_.start(leg_.fd.get(), wanted);
}

bool Connection::freeze() {
  if (failure_ != 0) return false;
  frozen_ = true;  // what is queued now waits in leg.unsent
  send_now();
  watch();
  if (leg_.fd.valid()) EventLoop::forget_fd(io_.loop, leg_.fd.get());
  return true;
}

void Connection::thaw() {
  frozen_ = false;
  if (!started_) return;
  send_end_if_due();
  watch();
}

// Where another process has a copy, close(2) ends neither the registration nor the connection.
void Connection::close() {
  send_now();
  io_.stop();
  failure_ = 0;
  watched_ = 0;
  started_ = false;
  if (leg_.shared && leg_.fd.valid()) {
    EventLoop::forget_fd(io_.loop, leg_.fd.get());
    ::shutdown(leg_.fd.get(), SHUT_RDWR);
  }
  leg_.fd.reset();
  leg_.unsent.release();
}

void Connection::reset() {
  send_now();
  if (leg_.fd.valid()) {
    if (!leg_.unsent.empty()) static_cast<void>(send_from(leg_.unsent));
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(leg_.fd.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    if (leg_.shared) abort_shared();
  }
  close();
}

// SO_LINGER acts when the last copy is closed. Dissolving the association (connect(2), AF_UNSPEC)
// acts at once, and resets a TCP connection; a unix socket refuses it, and has no resets.
void Connection::abort_shared() {
  io_.stop();
  watched_ = 0;
  EventLoop::forget_fd(io_.loop, leg_.fd.get());
  const sockaddr nobody{.sa_family = AF_UNSPEC, .sa_data = {}};
  ::connect(leg_.fd.get(), &nobody, sizeof nobody);
}

}  // namespace baton::proxy
