// Tries one endpoint in intervals: connects and, for HTTP, sends a GET and looks at the first line
// of the answer, behind interim ones. Writes the endpoint's health where all workers and
// generations see it, with what it was judged by. A verdict by other checks (another path, another
// status) says nothing here: the first one of this checker's own decides alone. What it finds out
// before its generation is in charge counts in this process only, and others go by what they know.
//
//   waiting ─ interval ─► connecting ─► (http) asking ─► result ─► waiting
//                             └───────────── error, timeout ──┘
//
// Thread: main. Owns: the socket of the check in progress. Borrows: configuration, shared state,
// sink (outlive it).
#pragma once

#include <ev++.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <string>

#include "proxy/config/config.h"
#include "proxy/upstream/endpoint.h"
#include "proxy/upstream/health_record.h"
#include "proxy/upstream/shared_state.h"
#include "shared/os/unique_fd.h"

namespace baton::proxy {

class HealthChecker {
 public:
  class Sink {
   public:
    // One more check is done; the endpoint's state has what follows from it. May stop() the
    // checker.
    virtual void on_checked(HealthChecker& checker, CheckResult result) = 0;

   protected:
    ~Sink() = default;
  };

  struct Options {
    const HealthCheckConfig& config;
    const std::string& cluster;
    SharedState& shared;
    Sink& sink;
    bool send_proxy_protocol = false;  // ahead of a request: a header that says it is our own
  };

  // `endpoint` has a state.
  HealthChecker(ev::loop_ref loop, const Options& options,
                std::shared_ptr<const Endpoint> endpoint);
  HealthChecker(const HealthChecker&) = delete;
  HealthChecker& operator=(const HealthChecker&) = delete;

  enum class Role : std::uint8_t { WarmUp, InCharge };
  // Checks from now on: at once when nobody knows the endpoint's health, else somewhen within an
  // interval, so that checks of many endpoints do not come at once.
  void start(Role role);
  // Gives the check in progress up. Who was in charge goes by what its successor says.
  void stop();
  const Endpoint& endpoint() const { return *endpoint_; }

 private:
  using Health = EndpointState::Health;

  bool is_others_verdict() const;
  void stand_apart(Health own);
  void take_over();
  void give_check_up();
  void begin();
  void wait(double seconds);
  void give_up(int error);
  Health count(Health before, CheckResult result);
  void judge(CheckResult result, const std::string& reason);
  void share(Health health);
  void finish(CheckResult result, const std::string& reason);
  void ask();
  void read_answer();
  bool is_interim(std::uint32_t status) const;
  bool drop_interim_head();
  void on_event(ev::io& watcher, int events) noexcept;
  void on_timer(ev::timer& watcher, int events) noexcept;

  ev::loop_ref loop_;
  Options options_;
  std::shared_ptr<const Endpoint> endpoint_;
  const std::uint32_t check_;  // what is judged, as in region::EndpointSlot
  Role role_ = Role::WarmUp;
  bool overruled_ = false;  // in charge, but the last verdict was another's
  std::minstd_rand random_;
  std::string answer_;             // the first bytes of it
  std::size_t interim_bytes_ = 0;  // of the heads ahead of it
  bool checking_ = false;
  bool connected_ = false;
  bool seen_late_ = false;  // something was there when its time was over
  os::UniqueFd socket_;
  ev::io watcher_;
  ev::timer timer_;
};

}  // namespace baton::proxy
