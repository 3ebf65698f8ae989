// Watches a generation that has just begun to serve: it must answer a ping every kInterval for the
// whole of the time, each within GenerationProcess::kPingDeadline.
//
// Thread: the supervisor's loop. Borrows: the generation (outlives it). Its death is not noticed
// here but by whoever watches the process.
// Invariant: `done` is called at most once, and never after destruction. It may destroy the object.
#pragma once

#include <ev++.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "supervisor/generation_process.h"

namespace baton::supervisor {

class Probation {
 public:
  using Done = std::function<void(std::optional<std::string> error)>;

  // A length of zero passes from the loop without a ping.
  Probation(ev::loop_ref loop, GenerationProcess& generation, std::chrono::milliseconds length,
            Done done);
  Probation(const Probation&) = delete;
  Probation& operator=(const Probation&) = delete;

  static constexpr std::chrono::milliseconds kInterval{100};

 private:
  void ping();
  void on_end();
  void on_answer(const std::optional<std::string>& error);
  void finish(std::optional<std::string> error);

  GenerationProcess& generation_;
  Done done_;
  ev::timer next_ping_;
  ev::timer end_;
  int unanswered_ = 0;
  bool over_ = false;
  std::shared_ptr<Probation*> self_;  // what answers under way hold weakly
};

}  // namespace baton::supervisor
