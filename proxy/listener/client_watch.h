// Looks each second whether clients have gone that the loop does not wait for: one that is not read
// while its upstream is slow or being connected, one that has sent all it had. epoll tells nothing
// of a socket that is not in it, so their resets would be noticed only when they are read again:
// for ever, if the upstream hangs.
//
// Thread: its worker's. Owns: its timer. Borrows: the sessions.
// Invariant: a session is in here exactly while it says so (client_watched()).
#pragma once

#include <ev++.h>

#include <unordered_set>
#include <vector>

namespace baton::proxy {

class Session;

class ClientWatch {
 public:
  explicit ClientWatch(ev::loop_ref loop);
  ClientWatch(const ClientWatch&) = delete;
  ClientWatch& operator=(const ClientWatch&) = delete;

  // Until it is waited for again, or removed. A client that has gone: client_gone() of its session.
  void add(Session& session);
  void remove(Session& session);

 private:
  void look(ev::timer& timer, int events);
  std::vector<Session*> gone();

  std::unordered_set<Session*> sessions_;
  ev::timer timer_;
};

}  // namespace baton::proxy
