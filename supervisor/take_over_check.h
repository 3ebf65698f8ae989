// Asks a supervisor binary, as a child, whether it can go on with a state: before it is run in
// place of this one, when it would be too late to refuse.
//
// The child is run as `take-over --check --state-fd 3 --answer-fd 4` and writes kTakesOver, or its
// reason, into the memory file at 4. Its exit status counts for nothing: any program may exit 0.
// Thread: the supervisor's loop. Owns: the child; destroyed, it is killed.
// Invariant: `done` is called at most once, from the loop; it may destroy the object.
#pragma once

#include <ev++.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "shared/os/error.h"
#include "shared/os/process.h"

namespace baton::supervisor {

inline constexpr std::string_view kTakesOver = "baton supervisor takes over";

class TakeOverCheck {
 public:
  // The refusal, if it is one.
  using Done = std::function<void(std::optional<std::string> refusal)>;

  struct Options {
    int binary_fd = -1;  // both borrowed, for the call only
    int state_fd = -1;   // a sealed memory file
    std::string path;    // the binary's
  };
  static os::Result<std::unique_ptr<TakeOverCheck>> start(ev::loop_ref loop, const Options& options,
                                                          Done done);
  ~TakeOverCheck();
  TakeOverCheck(const TakeOverCheck&) = delete;
  TakeOverCheck& operator=(const TakeOverCheck&) = delete;

  static constexpr std::chrono::milliseconds kPatience{5000};

 private:
  TakeOverCheck(ev::loop_ref loop, std::string path, os::Child child, os::UniqueFd answer,
                Done done);
  void on_ended();
  void on_timeout();
  std::optional<std::string> verdict() const;

  std::string path_;
  os::Child child_;
  os::UniqueFd answer_;
  Done done_;
  ev::io ended_;
  ev::timer patience_;
};

}  // namespace baton::supervisor
