// One libev loop and its mailbox: the only way threads hand work to each other.
// Thread: run() and everything posted run on the owner's thread; post() and stop() may be called
// from any thread.
// Owns: the loop and what is posted until it has run.
#pragma once

#include <ev++.h>

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "proxy/network/send_queue.h"
#include "shared/os/check.h"
#include "shared/os/loop_backend.h"

namespace baton::proxy {

class EventLoop {
 public:
  using Task = std::function<void()>;

  // `ring`: for what its connections send, proxy/network/send_ring.h; may be null.
  explicit EventLoop(std::unique_ptr<SendRing> ring = nullptr);
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  ev::loop_ref ref() { return ev::loop_ref(loop_.get()); }

  // Runs until stop(). What was posted before stop() has run by the time this returns.
  void run();
  void stop();
  // Runs `task` on the loop's thread, in the order of posting, in a later iteration.
  void post(Task task);

  // Removes a descriptor's epoll registration at once. libev forgets a stopped watcher lazily and
  // relies on close() to end the registration, which does not happen while another process holds
  // the same open file. Call after stopping the watcher, before the descriptor leaves or is closed.
  // `loop` is an EventLoop's.
  static void forget_fd(ev::loop_ref loop, int fd);

  // Of an EventLoop's loop: what its connections write within an iteration.
  static SendQueue& send_queue(ev::loop_ref loop) { return of(loop).send_queue_; }

 private:
  static EventLoop& of(ev::loop_ref loop) {
    auto* self = static_cast<EventLoop*>(ev_userdata(loop));
    BATON_CHECK(self != nullptr);
    return *self;
  }
  void run_posted();

  struct Destroy {
    void operator()(struct ev_loop* loop) const { ev_loop_destroy(loop); }
  };
  std::unique_ptr<struct ev_loop, Destroy> loop_;
  os::LoopBackend backend_;
  ev::async wake_;
  SendQueue send_queue_;
  ev::check begin_;  // before all other callbacks of an iteration, ...
  ev::check end_;    // ... and behind them
  std::mutex mutex_;
  std::vector<Task> posted_;  // guarded by mutex_
};

}  // namespace baton::proxy
