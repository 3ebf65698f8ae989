#include "proxy/http/upstream/upstream_connection.h"

#include <poll.h>

#include <cerrno>
#include <utility>

#include "proxy/http/upstream/upstream_pool.h"

namespace baton::proxy::http {

UpstreamConnection::UpstreamConnection(const Options& options, os::UniqueFd socket,
                                       std::shared_ptr<const Endpoint> endpoint,
                                       CircuitGuard circuit)
    : pool_(options.pool),
      endpoint_(std::move(endpoint)),
      circuit_(std::move(circuit)),
      leg_{.fd = std::move(socket)},
      connection_(options.loop, leg_, options.scratch, options.counters, *this) {
  idle_timeout_.set<UpstreamConnection, &UpstreamConnection::on_idle_timeout>(this);
  connection_.start();
}

UpstreamConnection::UpstreamConnection(const Options& options, LegState leg,
                                       std::shared_ptr<const Endpoint> endpoint,
                                       std::uint32_t requests_served)
    : pool_(options.pool),
      endpoint_(std::move(endpoint)),
      leg_(std::move(leg)),
      connection_(options.loop, leg_, options.scratch, options.counters, *this),
      received_before_(leg_.received_bytes),
      requests_served_(requests_served) {
  idle_timeout_.set<UpstreamConnection, &UpstreamConnection::on_idle_timeout>(this);
  connection_.restore();
}

// Ahead of the endpoint: a request that crosses its end is lost.
void UpstreamConnection::endpoint_keeps(std::chrono::seconds time) {
  using std::chrono::milliseconds;
  if (time.count() > 1) {
    keep_ = time - std::chrono::seconds(1);
  } else {
    keep_ = milliseconds(time) / 2;
  }
}

void UpstreamConnection::write(std::string_view bytes) {
  if (connection_.write(bytes) == WriteStatus::Failed) on_write_failed(errno);
}

void UpstreamConnection::on_write_failed(int error) {
  was_reset_ = was_reset_ || error == ECONNRESET;
  write_failed_ = true;
}

bool UpstreamConnection::is_quiet() const {
  // recv(2) would take a reset with it, of which whoever reads is to be told.
  pollfd socket{.fd = leg_.fd.get(), .events = POLLIN, .revents = 0};
  return ::poll(&socket, 1, 0) == 0;
}

void UpstreamConnection::begin_idle() {
  user_ = nullptr;
  ++requests_served_;
  received_before_ = leg_.received_bytes;
}

void UpstreamConnection::on_received(Buffer& data, EndOfStream end) {
  if (user_ != nullptr) return user_->on_upstream_data(data, end);
  pool_.discard(*this);
}

void UpstreamConnection::on_failed() {
  if (user_ != nullptr) return user_->on_upstream_failed();
  pool_.discard(*this);
}

void UpstreamConnection::on_flushed() {
  if (user_ != nullptr) user_->on_upstream_flushed();
}

void UpstreamConnection::on_idle_timeout() { pool_.discard(*this); }

LegState UpstreamConnection::release() {
  static_cast<void>(connection_.freeze());  // write_failed() says whether it was
  LegState leg = std::move(leg_);
  connection_.close();
  return leg;
}

}  // namespace baton::proxy::http
