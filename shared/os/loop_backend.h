// The epoll descriptor behind a libev loop, and taking registrations out of it.
// libev forgets a stopped watcher lazily and relies on close() to end the registration, which does
// not happen while another process holds the same open file: epoll(7), questions and answers, Q6.
// libev 4.33 has no public call for the descriptor; it is read off an ev_embed watcher, which libev
// points at the embedded loop's backend.
// Thread: the loop's.
#pragma once

#include <ev++.h>

namespace baton::os {

// -1 when the loop does not run on epoll. Builds a scratch loop, and is true until libev makes
// another epoll set: after ev_loop_fork(), and when it gets an event that it cannot explain.
int loop_epoll_fd(struct ev_loop* loop);

// Ends the registration of `fd`, if there is one. Call it after its watchers have been stopped and
// before it is closed or leaves; -1 for `epoll_fd` does nothing. errno is preserved.
void forget_fd(int epoll_fd, int fd);

// The same for one loop, whichever epoll set it has by then. Does not keep the loop running.
// Borrows: the loop, which outlives it.
class LoopBackend {
 public:
  explicit LoopBackend(ev::loop_ref loop);
  ~LoopBackend();
  LoopBackend(const LoopBackend&) = delete;
  LoopBackend& operator=(const LoopBackend&) = delete;

  void forget(int fd);

 private:
  void on_rebuild();
  void on_rebuilt();

  int epoll_fd_;
  bool rebuilds_ = false;  // the number may change at any time
  ev::fork rebuild_;       // libev says so ahead of it, ...
  ev::check rebuilt_;      // ... and has done it when the same iteration has polled
};

}  // namespace baton::os
