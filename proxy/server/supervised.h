// A generation under a supervisor: comes up in the phases of docs/protocol.md, then obeys orders.
//
// Thread: main. Owns: everything of the generation. Borrows: the loop and the build information.
// It ends in three ways only: told to drain and empty (or at the deadline), failed to start, or
// without a supervisor before it ever served. Once it has served it outlives its supervisor, and
// comes back to the one that replaces it.
#pragma once

#include <ev++.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proto/channel.h"
#include "proto/generation.pb.h"
#include "proxy/server/build_info.h"
#include "proxy/server/homecoming.h"
#include "proxy/server/lifecycle.h"
#include "proxy/server/predecessor.h"
#include "proxy/server/server.h"
#include "proxy/server/stats_reporter.h"
#include "proxy/server/successor.h"
#include "proxy/worker/event_loop.h"
#include "shared/os/log.h"

namespace baton::proxy {

class SupervisedGeneration {
 public:
  SupervisedGeneration(EventLoop& loop, const BuildInfo& build, log::Options log,
                       os::UniqueFd channel, SendRings rings);

  // Returns the process's exit status.
  int run();

 private:
  // Starting up, in this order.
  void on_welcome(std::expected<proto::Welcome, proto::CallError> reply, proto::Fds fds);
  bool configure(const proto::Welcome& welcome, proto::Fds& fds);
  Predecessor::Events predecessor_events();
  void inherit(std::vector<Predecessor::Socket> from_old);
  void ask_escrow();
  void on_escrow(std::expected<proto::RawReply, proto::CallError> reply);
  void bind_rest();
  void put_in_escrow();
  os::Result<void> put_delayed_in_escrow();
  void become_ready();
  void on_warm();
  void fail(const std::string& reason);

  // Orders.
  void accept_orders();
  void order_serve(const proto::Responder& answer);
  void order_pause(const proto::Pause& order, const proto::Responder& answer);
  void order_resume(const proto::Resume& order, proto::Fds fds, const proto::Responder& answer);
  void order_drain(const proto::Drain& order, const proto::Responder& answer);
  void order_ping(const proto::Responder& answer);
  void introduce(const proto::Introduce& order, proto::Fds fds);
  void follow(proto::Fds fds);
  // The action of an event; a refusal has been answered already.
  GenerationAction advance(GenerationEvent event, const proto::Responder& answer);

  void begin_drain(std::chrono::milliseconds time, DrainStrategy strategy,
                   const std::vector<proto::SocketKey>& kept);
  Successor* next_generation();
  void lend_sessions(const std::vector<proto::SocketKey>& released);
  void hand_over_connections();
  void leave_when_empty();
  void report_moves();
  MoveHooks move_hooks() const;
  void on_supervisor_lost(const std::string& reason);
  void on_supervisor_gone() noexcept;
  void resume_if_alone();
  os::Result<void> resume(std::function<void()> done);
  Homecoming::Belongings belongings();
  void on_home(os::UniqueFd channel);
  void on_deadline(ev::timer&, int) noexcept;
  void exit();

  proto::Hello hello() const;
  void add_sockets(const google::protobuf::RepeatedPtrField<proto::SocketInfo>& infos,
                   proto::Fds& fds);
  AdminServer::StatsSource stats_from_supervisor();

  EventLoop& loop_;
  const BuildInfo& build_;
  log::Options log_;
  SendRings rings_;     // until the server has them
  bool empty_ = false;  // it drains, and no client was left, ...
  bool moved_ = false;  // ... nor anything that moves
  GenerationState state_ = GenerationState::Starting;
  int exit_status_ = 0;
  bool leaving_ = false;
  bool hurried_ = false;  // nobody else serves
  bool lending_ = false;  // UDP sessions, to the generation introduced last
  std::uint64_t generation_ = 0;
  std::vector<proto::SocketKey> paused_keys_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<proto::Channel> supervisor_;
  // What a supervisor that has replaced this one needs.
  os::UniqueFd config_file_;
  os::UniqueFd kept_region_;
  std::unique_ptr<Homecoming> homecoming_;
  std::unique_ptr<Predecessor> predecessor_;
  std::vector<std::unique_ptr<Predecessor>> elders_;  // that drain
  std::vector<std::unique_ptr<Successor>> successors_;
  std::optional<StatsReporter> reporter_;
  ev::timer deadline_;
  ev::timer patience_;  // while paused without a supervisor
};

}  // namespace baton::proxy
