// One replacement of the supervisor by another binary, up to the point where it can be done: the
// binary is opened and asked, then nothing must be on its way to a generation any more, because
// what is still queued would be lost.
//
// Thread: the supervisor's loop. Owns: the binary's descriptor, the child that is asked.
// Invariant: `ready` and `failed` are called from the loop; either may destroy the object.
#pragma once

#include <ev++.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "shared/os/error.h"
#include "shared/os/unique_fd.h"
#include "supervisor/take_over_check.h"

namespace baton::supervisor {

class Upgrade {
 public:
  struct Observer {
    std::function<bool()> is_quiet;  // nothing is queued
    std::function<void()> ready;
    std::function<void(const std::string& reason)> failed;
  };

  // Error: the binary cannot be run. `state`: what it is asked about.
  static os::Result<std::unique_ptr<Upgrade>> start(ev::loop_ref loop, const std::string& path,
                                                    std::string_view state, Observer observer);
  Upgrade(const Upgrade&) = delete;
  Upgrade& operator=(const Upgrade&) = delete;

  int binary() const { return binary_.get(); }
  const std::string& path() const { return path_; }

  // How long generations have to read what was sent to them.
  static constexpr std::chrono::milliseconds kQuietTime{2000};

 private:
  Upgrade(ev::loop_ref loop, std::string path, os::UniqueFd binary, Observer observer);
  void look();
  void fail(const std::string& reason);

  std::string path_;
  os::UniqueFd binary_;
  Observer observer_;
  std::unique_ptr<TakeOverCheck> check_;
  ev::timer next_look_;
  int looks_left_;
};

}  // namespace baton::supervisor
