// The admin listener: plain HTTP on the main thread, for probes and scrapers.
//   GET /ready    200 while this generation takes new connections, else 503
//   GET /metrics  every metric as Prometheus text, all generations together
// One request a connection; a client that takes longer than 10 s is closed; at most 64 at once.
//
// Thread: main. Owns: its connections. Borrows: the loop and the listening sockets.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <string>

#include "proxy/worker/event_loop.h"

namespace baton::proxy {

class AdminServer {
 public:
  // Calls back on the main thread, now or later, with the text of /metrics; an empty text: it is
  // not to be had now (503).
  using StatsSource = std::function<void(std::function<void(std::string text)>)>;

  AdminServer(EventLoop& loop, StatsSource stats);
  ~AdminServer();

  // Accepts on this socket, too. One already watched is left alone.
  void accept_on(int fd);
  // Stops accepting on all sockets; connections go on.
  void release();
  void set_ready(bool ready) { ready_ = ready; }

 private:
  class Client;
  struct Acceptor;

  // False: out of descriptors or memory.
  bool accept_one(int fd);
  void answer(Client& client, const std::string& target);
  void remove(Client& client);

  EventLoop& loop_;
  StatsSource stats_;
  bool ready_ = false;
  std::list<std::unique_ptr<Acceptor>> acceptors_;
  std::list<std::shared_ptr<Client>> clients_;
};

}  // namespace baton::proxy
