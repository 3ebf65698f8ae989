#include "proxy/upstream/connector.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "proxy/upstream/local_shortage.h"
#include "shared/os/error.h"
#include "shared/os/log.h"
#include "shared/os/seconds.h"

namespace baton::proxy {
namespace {

using std::chrono::duration;
using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kConnectShortagePause{10};

}  // namespace

Connector::Connector(ev::loop_ref loop, Cluster& cluster, Sink& sink,
                     std::optional<std::chrono::milliseconds> limit)
    : cluster_(cluster),
      sink_(sink),
      timeout_(std::min(cluster.connect_timeout(), limit.value_or(cluster.connect_timeout()))),
      writable_(loop),
      timer_(loop) {
  writable_.set<Connector, &Connector::on_writable>(this);
  timer_.set<Connector, &Connector::on_timer>(this);
}

void Connector::start(std::optional<std::uint64_t> hash) {
  auto endpoint = cluster_.pick({.hash = hash});
  if (!endpoint) {
    sink_.on_exhausted();
    return;
  }
  hash_ = hash;
  tries_others_ = true;
  start_at(std::move(endpoint));
}

void Connector::start_at(std::shared_ptr<const Endpoint> endpoint) {
  endpoint_ = std::move(endpoint);
  begun_ = steady_clock::now();
  proceed(attempt());
}

Connector::Attempt Connector::attempt() {
  const os::SocketAddress& address = endpoint_->address;
  socket_.reset(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket_.valid()) return failed_attempt(errno);
  if (!address.is_unix()) {
    const int on = 1;
    ::setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  if (::connect(socket_.get(), address.data(), address.length()) == 0) return Attempt::Connected;
  if (errno == EINPROGRESS || errno == EINTR) return Attempt::InProgress;
  return failed_attempt(errno);
}

Connector::Attempt Connector::failed_attempt(int error) const {
  return is_local_shortage(error, endpoint_->address) ? Attempt::Shortage : Attempt::Failed;
}

void Connector::proceed(Attempt outcome) {
  while (outcome == Attempt::Failed) {
    report_failure();
    if (!next_endpoint()) {
      sink_.on_exhausted();
      return;
    }
    outcome = attempt();
  }
  if (outcome == Attempt::Shortage) {
    await_retry();
  } else if (outcome == Attempt::InProgress) {
    pausing_ = false;
    writable_.start(socket_.get(), ev::WRITE);
    const steady_clock::duration left = begun_ + timeout_ - steady_clock::now();
    timer_.start(std::max(0.0, os::seconds(left)));
  } else {
    const auto took = steady_clock::now() - begun_;
    cluster_.stats().connect_microseconds.record(static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(took).count()));
    cluster_.report(*endpoint_, Outcome::Connected);
    sink_.on_connected(std::move(socket_), std::move(endpoint_));
  }
}

void Connector::report_failure() {
  cluster_.stats().connect_failures_total.add();
  cluster_.report(*endpoint_, Outcome::ConnectFailure);
}

// A shortage is nothing that the endpoint could do about.
void Connector::give_up() {
  if (pausing_) return;
  cluster_.stats().connect_timeouts_total.add();
  report_failure();
}

// Drops the current attempt. False: every endpoint that it may try has had its turn.
bool Connector::next_endpoint() {
  writable_.stop();
  timer_.stop();
  socket_.reset();
  pausing_ = false;
  failed_.push_back(std::move(endpoint_));
  if (!tries_others_) return false;
  endpoint_ = cluster_.pick({.hash = hash_, .tried = failed_});
  begun_ = steady_clock::now();
  return endpoint_ != nullptr;
}

void Connector::await_retry() {
  socket_.reset();
  pausing_ = true;
  const auto pause = std::min(kConnectShortagePause, timeout_);
  timer_.start(os::seconds(pause));
}

void Connector::on_writable(ev::io&, int) {
  writable_.stop();
  timer_.stop();
  int error = 0;
  socklen_t length = sizeof error;
  if (::getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
  if (error != 0) {
    log::debug("connect to {}: {}", endpoint_->address.text(), os::error_text(error));
  }
  proceed(error == 0 ? Attempt::Connected : Attempt::Failed);
}

bool Connector::is_ready() const {
  pollfd connected{.fd = socket_.get(), .events = POLLOUT, .revents = 0};
  return !pausing_ && ::poll(&connected, 1, 0) == 1;
}

void Connector::on_timer(ev::timer&, int) {
  const bool expired = steady_clock::now() - begun_ >= timeout_;
  if (!expired) {
    // Either a pause is over, or the loop's clock runs a little ahead of this one.
    proceed(pausing_ ? attempt() : Attempt::InProgress);
    return;
  }
  // The loop tells of timers first: after a stall of this process it may have been in time.
  if (is_ready()) return on_writable(writable_, ev::WRITE);
  writable_.stop();
  // A shortage on this side is nothing that the endpoint could do about; a full queue of a unix
  // socket is one on its own.
  if (pausing_ && !endpoint_->address.is_unix()) {
    return next_endpoint() ? proceed(attempt()) : sink_.on_exhausted();
  }
  cluster_.stats().connect_timeouts_total.add();
  proceed(Attempt::Failed);
}

}  // namespace baton::proxy
