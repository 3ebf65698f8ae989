#include "proxy/upstream/upstream_socket.h"

#include <utility>

#include "proxy/worker/event_loop.h"

namespace baton::proxy {

UpstreamSocket::UpstreamSocket(ev::loop_ref loop, os::UniqueFd fd,
                               std::shared_ptr<const Endpoint> endpoint, CircuitGuard circuit)
    : loop_(loop),
      fd_(std::move(fd)),
      endpoint_(std::move(endpoint)),
      circuit_(std::move(circuit)),
      watcher_(loop) {
  watcher_.set<UpstreamSocket, &UpstreamSocket::on_event>(this);
  watcher_.start(fd_.get(), ev::READ);
}

void UpstreamSocket::on_event(ev::io&, int) noexcept {
  if (reader_ != nullptr) reader_->on_readable(*this);
}

os::UniqueFd UpstreamSocket::release() {
  watcher_.stop();
  EventLoop::forget_fd(loop_, fd_.get());
  return std::move(fd_);
}

}  // namespace baton::proxy
