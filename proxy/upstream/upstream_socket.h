// A connection to an endpoint that carries one request after another, and between them waits in a
// pool. It stays watched for input all the time and only its reader changes, so that taking it out
// of the pool and putting it back cost no system call.
//
// Thread: its worker's. Owns: the socket and its watcher. Borrows: the loop, the reader of now.
#pragma once

#include <ev++.h>

#include <memory>

#include "proxy/upstream/circuit_breaker.h"
#include "proxy/upstream/endpoint.h"
#include "shared/os/unique_fd.h"

namespace baton::proxy {

class UpstreamSocket {
 public:
  class Reader {
   public:
    // There is input, an end or an error to be read; again and again until it has been. May destroy
    // the socket.
    virtual void on_readable(UpstreamSocket& socket) = 0;

   protected:
    ~Reader() = default;
  };

  // `circuit`: the place among Circuit::Connections that it takes; may be empty.
  UpstreamSocket(ev::loop_ref loop, os::UniqueFd fd, std::shared_ptr<const Endpoint> endpoint,
                 CircuitGuard circuit);
  UpstreamSocket(const UpstreamSocket&) = delete;
  UpstreamSocket& operator=(const UpstreamSocket&) = delete;

  int fd() const { return fd_.get(); }
  const std::shared_ptr<const Endpoint>& endpoint() const { return endpoint_; }

  // From now on `reader` is told, unless paused. There must be one before the loop runs again.
  void read_by(Reader& reader) { reader_ = &reader; }
  void pause() { watcher_.stop(); }
  void resume() { watcher_.start(); }

  // Gives the socket away, out of the loop and of epoll: to another process, say.
  os::UniqueFd release();

 private:
  void on_event(ev::io& watcher, int events) noexcept;

  ev::loop_ref loop_;
  os::UniqueFd fd_;
  std::shared_ptr<const Endpoint> endpoint_;
  CircuitGuard circuit_;
  Reader* reader_ = nullptr;
  ev::io watcher_;
};

}  // namespace baton::proxy
