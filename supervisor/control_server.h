// Serves the command line: accepts connections to the control socket, checks who is there, and
// passes requests to a handler.
//
// Thread: the supervisor's loop. Owns: connections. Borrows: the listening socket, the handler.
// Root, the supervisor's own user and members of the control group are served; anyone else is
// answered `refused`. A client that asks for nothing is closed after kPatience, and at once one
// that asks on without reading the answers.
#pragma once

#include <ev++.h>
#include <sys/socket.h>

#include <chrono>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proto/channel.h"
#include "proto/control.pb.h"
#include "proto/generation.pb.h"
#include "shared/os/unique_fd.h"

namespace baton::supervisor {

class ControlHandler {
 public:
  virtual ~ControlHandler() = default;
  virtual void reload(const proto::ReloadRequest& request, const proto::Responder& client) = 0;
  virtual void rollback(const proto::ReloadRequest& request, const proto::Responder& client) = 0;
  virtual void retune_drain(const proto::RetuneDrainRequest& request,
                            const proto::Responder& client) = 0;
  virtual void status(const proto::Responder& client) = 0;
  virtual void stats(const proto::StatsRequest& request, const proto::Responder& client) = 0;
  virtual void stop(const proto::StopRequest& request, const proto::Responder& client) = 0;
  virtual void reopen_logs(const proto::Responder& client) = 0;
  // `peer`: the process at the other end, when it connected.
  virtual void come_back(const proto::ComeBack& request, proto::Fds fds, pid_t peer,
                         const proto::Responder& generation) = 0;
  virtual void upgrade(const proto::UpgradeRequest& request, const proto::Responder& client) = 0;
};

class ControlServer {
 public:
  ControlServer(ev::loop_ref loop, int listener, const std::string& group, ControlHandler& handler);
  ~ControlServer();
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

  // Connections that can be gone on with over an exec: what their peers have sent and nobody has
  // read waits in the socket, and no answer is on its way. Borrowed.
  std::vector<int> quiet_connections() const;
  // Goes on with one, and with the request that waits on it; 0: none is known.
  std::optional<proto::Responder> adopt(os::UniqueFd socket, std::uint16_t kind,
                                        std::uint32_t request);

  // Beyond it, of those that wait for no answer the one that has been silent for longest makes
  // place for a new one.
  static constexpr std::size_t kMaxClients = 64;
  // Of one client, that wait for their answers, or for being read: descriptors may be among these.
  static constexpr std::size_t kMostRequests = 16;
  static constexpr std::chrono::seconds kPatience{10};

 private:
  class Client;

  void on_acceptable();
  void make_place();
  void on_retry();
  bool serve(os::UniqueFd socket);
  void remove(const Client* client);
  bool permitted(const ucred& peer, int socket) const;

  ev::loop_ref loop_;
  int listener_;
  std::optional<gid_t> group_;
  ControlHandler& handler_;
  ev::io acceptable_;
  ev::timer retry_;  // after accept() failed for want of descriptors
  std::list<std::unique_ptr<Client>> clients_;
};

}  // namespace baton::supervisor
