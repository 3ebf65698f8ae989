#include "proxy/udp/session.h"

#include <cerrno>
#include <utility>

#include "proxy/udp/endpoint_error.h"
#include "proxy/worker/event_loop.h"

namespace baton::proxy::udp {
namespace {

// Of one session before others have their turn, if it always has more.
constexpr int kAnswersInARow = 2;

// Without its upstream socket, which is the kernel's, and what the allocator adds.
static_assert(sizeof(Session) <= 320);

// Sends datagrams `begin` to before `end`, skipping those that cannot be sent; returns where
// `is_fatal(error)` said to stop. `count(sent)` is called for what has gone out.
template <class Send, class Count, class IsFatal, class Drop>
std::size_t send_all(std::size_t begin, std::size_t end, Send send, Count count, IsFatal is_fatal,
                     Drop drop) {
  while (begin < end) {
    const DatagramBatch::Sent sent = send(begin, end);
    if (sent.count > 0) count(sent);
    begin += sent.count;
    if (begin == end || sent.error == EINTR) continue;
    if (is_fatal(sent.error)) return begin;
    // A full queue is full for the rest, too; anything else may be a matter of this datagram.
    const std::size_t lost = sent.error == EAGAIN || sent.error == ENOBUFS ? end - begin : 1;
    drop(lost);
    begin += lost;
  }
  return end;
}

}  // namespace

Session::Session(const Context& context, SessionState state, CircuitGuard circuit,
                 SharedSocket& replies, Lender* lender)
    : context_(context),
      state_(std::move(state)),
      circuit_(std::move(circuit)),
      use_(*state_.endpoint),
      replies_(replies),
      readable_(context.loop),
      lender_(lender) {
  idle_.set<Session, &Session::on_idle>(this);
  readable_.set<Session, &Session::on_readable>(this);
  readable_.start(state_.upstream.get(), ev::READ);
  if (!on_loan()) {
    context_.cluster.stats().connections_active.add();
  } else {
    context_.idle->arm(idle_, state_.last_activity);
  }
}

// Closing the socket is no end of its registration while another process has it.
Session::~Session() {
  stop_watching();
  if (!on_loan()) context_.cluster.stats().connections_active.sub();
}

void Session::stop_watching() {
  if (!readable_.is_active()) return;
  readable_.stop();
  EventLoop::forget_fd(context_.loop, state_.upstream.get());
}

void Session::keep() {
  lender_ = nullptr;
  context_.cluster.stats().connections_active.add();
}

void Session::touch() {
  state_.last_activity = CoarseClock::now();
  if (!frozen_) context_.idle->arm(idle_);
}

void Session::freeze() {
  frozen_ = true;
  idle_.disarm();
  stop_watching();
}

void Session::thaw() {
  frozen_ = false;
  context_.idle->arm(idle_, state_.last_activity);
  readable_.start(state_.upstream.get(), ev::READ);
}

std::size_t Session::forward(std::size_t begin, std::size_t end) {
  touch();
  return send_all(
      begin, end,
      [this](std::size_t from, std::size_t to) {
        return context_.batch.send(state_.upstream.get(), from, to);
      },
      [this](const DatagramBatch::Sent& sent) {
        context_.cluster.stats().bytes.sent.add(sent.bytes);
      },
      is_endpoint_error,
      [this](std::size_t lost) { context_.datagrams.drop(Dropped::ToUpstream, lost); });
}

void Session::on_readable(ev::io&, int) {
  for (int i = 0; i < kAnswersInARow; ++i) {
    const std::size_t count =
        context_.batch.receive(state_.upstream.get(), DatagramBatch::Source::Endpoint);
    if (count == 0) return is_endpoint_error(errno) ? context_.owner.on_failed(*this) : void();
    touch();
    reply(count);
    if (count < DatagramBatch::kMost) return;
  }
}

void Session::reply(std::size_t count) {
  if (!std::exchange(state_.answered, true)) {
    context_.cluster.report(*state_.endpoint, Outcome::Connected);
  }
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < count; ++i) bytes += context_.batch.size(i);
  context_.cluster.stats().bytes.received.add(bytes);
  send_all(
      0, count,
      [this](std::size_t from, std::size_t to) {
        return context_.batch.send_to(state_.flow, replies_.fd(), from, to);
      },
      [this](const DatagramBatch::Sent& sent) {
        context_.datagrams.sent_total.add(sent.count);
        context_.stats.bytes.sent.add(sent.bytes);
      },
      [](int) { return false; },
      [this](std::size_t lost) { context_.datagrams.drop(Dropped::ToClient, lost); });
}

}  // namespace baton::proxy::udp
