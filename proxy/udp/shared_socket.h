// One socket of a UDP listener, shared with other generations: this worker's own copy of it, to
// send replies through as long as any session wants to, also when nothing is read from it any more.
//
// Thread: its worker's. Owns: the copy. Borrows: the loop, the listener. Source: udp(7), socket(7),
// linux/sock_diag.h for SO_MEMINFO, SO_COOKIE.
#pragma once

#include <ev++.h>

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "shared/os/unique_fd.h"

namespace baton::proxy::udp {

class SharedSocket {
 public:
  class Owner {
   public:
    virtual void on_readable(SharedSocket& socket) = 0;
    // No session wants it any more; may destroy it.
    virtual void on_unused(SharedSocket& socket) = 0;

   protected:
    ~Owner() = default;
  };

  // `lent`: the number it was given under; `copy`: a descriptor of the same socket.
  SharedSocket(ev::loop_ref loop, Owner& owner, int lent, os::UniqueFd copy);
  ~SharedSocket();
  SharedSocket(const SharedSocket&) = delete;
  SharedSocket& operator=(const SharedSocket&) = delete;

  int lent() const { return lent_; }
  int fd() const { return fd_.get(); }
  // The socket's own name, the same in every process that has it. 0: the kernel gives it none.
  std::uint64_t cookie() const { return cookie_; }
  std::uint64_t uses() const { return uses_; }

  // What does not fit into its queue from now on is for this process to count: nobody else reads
  // it any more.
  void begin_to_count();
  void watch();  // begins to count, too
  bool watched() const { return watcher_.is_active(); }
  // Out of epoll when this returns.
  void forget();
  // As if there were something to read.
  void look_again() { watcher_.feed_event(ev::READ); }

  // Datagrams that did not fit into its queue since the last call, or since begin_to_count().
  std::uint32_t take_overflow();

  // For every process that has it: no datagram comes in any more; those in the queue stay there,
  // and replies can still be sent. Its address is as free for others as if it were closed.
  void shut_out();

  std::vector<std::function<void()>> on_retired;  // not empty: it is being retired
  // Its datagrams are for its owner, who may not read them yet.
  bool wanted = false;

 private:
  friend class SocketUse;
  void on_ready(ev::io&, int) { owner_.on_readable(*this); }
  void release() {
    if (--uses_ == 0) owner_.on_unused(*this);
  }

  ev::loop_ref loop_;
  Owner& owner_;
  int lent_;
  os::UniqueFd fd_;
  std::uint64_t cookie_;
  ev::io watcher_;
  std::uint64_t uses_ = 0;
  bool counts_ = false;
  std::uint32_t overflow_ = 0;  // as the kernel counts it for the life of the socket
};

// Keeps a socket for replies. A move-only handle.
class SocketUse {
 public:
  explicit SocketUse(SharedSocket& socket) : socket_(&socket) { ++socket.uses_; }
  SocketUse(SocketUse&& other) noexcept : socket_(std::exchange(other.socket_, nullptr)) {}
  SocketUse& operator=(SocketUse&& other) noexcept {
    std::swap(socket_, other.socket_);
    return *this;
  }
  ~SocketUse() {
    if (socket_ != nullptr) socket_->release();
  }
  int fd() const { return socket_->fd(); }
  const SharedSocket& socket() const { return *socket_; }

 private:
  SharedSocket* socket_;
};

}  // namespace baton::proxy::udp
