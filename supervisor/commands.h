// What the command line may ask, in terms of the supervisor.
// Thread: the supervisor's loop. Borrows: the supervisor.
#pragma once

#include <set>

#include "supervisor/control_server.h"
#include "supervisor/supervisor.h"

namespace baton::supervisor {

class Commands final : public ControlHandler {
 public:
  explicit Commands(Supervisor& supervisor) : supervisor_(supervisor) {}

  void reload(const proto::ReloadRequest& request, const proto::Responder& client) override;
  void rollback(const proto::ReloadRequest& request, const proto::Responder& client) override;
  void retune_drain(const proto::RetuneDrainRequest& request,
                    const proto::Responder& client) override;
  void status(const proto::Responder& client) override;
  void stats(const proto::StatsRequest& request, const proto::Responder& client) override;
  void stop(const proto::StopRequest& request, const proto::Responder& client) override;
  void reopen_logs(const proto::Responder& client) override;
  void come_back(const proto::ComeBack& request, proto::Fds fds, pid_t peer,
                 const proto::Responder& generation) override;
  void upgrade(const proto::UpgradeRequest& request, const proto::Responder& client) override;

 private:
  void begin(const ReloadPlan& plan, const proto::ReloadRequest& request,
             const proto::Responder& client);

  Supervisor& supervisor_;
  std::set<pid_t> strangers_;  // who has come back without being missed, as the log has it
};

}  // namespace baton::supervisor
