// One listener on one worker, whatever its protocol: what the worker is asked to do with sockets.
//
// Thread: its worker's. Owns: what clients have there. Borrows: the sockets; a descriptor given to
// accept_on() may be closed once it has been released or retired.
#pragma once

#include <functional>

namespace baton::proxy {

class WorkerListener {
 public:
  using Done = std::function<void()>;

  virtual ~WorkerListener() = default;  // cuts what is left

  // Leaves a socket alone that is accepted on already.
  virtual void accept_on(int fd) = 0;
  // Out of epoll when this returns; its queue stays as it is.
  virtual void release(int fd) = 0;
  // Lets nobody new come, accepts until the queue is empty, whatever max_connections says (nobody
  // else will), then as release(), then `done`.
  virtual void retire(int fd, Done done) = 0;

  // What clients have here is to end, as the worker's DrainState says. Again: re-tuned.
  virtual void drain() = 0;
  // Closes it now, and counts it as cut.
  virtual void cut_connections() = 0;
};

}  // namespace baton::proxy
