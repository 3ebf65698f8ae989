// A real supervisor with fake generations in a directory of its own, and what a test does with it.
// Every wait has a deadline; at the end nothing may be left.
#pragma once

#include <nlohmann/json.hpp>
#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "temporary_directory.h"

namespace baton::supervisor {

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

struct Outcome {
  int exit_status = -1;
  std::string out;
  std::string err;
};

class Rig {
 public:
  using Words = std::vector<std::string>;

  Rig() = default;
  ~Rig();

  // The configuration: one socket, and what generations are to do wrong.
  void configure(const std::string& misdeeds = "", const std::string& socket = "a.sock",
                 const std::string& start_timeout = "20s");
  // Starts `run`; returns once a generation serves.
  void start(const Words& more = {});
  // Starts `run` and waits for its end.
  Outcome run_to_end(const Words& more = {});

  Outcome ask(const std::string& command, const Words& more = {});
  // Does not wait; the pid is for finish().
  pid_t ask_in_background(const std::string& command, const Words& more = {});
  Outcome finish(pid_t pid);

  nlohmann::json status();
  // The generation in this state, or null.
  nlohmann::json in_state(const std::string& state);
  void wait_until(const std::string& what, const std::function<bool()>& predicate);
  void wait_for_stage(std::uint64_t generation, const std::string& state);
  void wait_for_log(const std::string& text);
  void signal_generation(const std::string& state, int signal);
  // Connects and reads the number of the generation that answers; "" when refused.
  std::string answer(const std::string& socket = "a.sock");
  // The value of a sample in `stats --prometheus`; -1: not there.
  double metric(const std::string& sample);

  // Another name for the fake binary: it behaves accordingly.
  std::string binary(const std::string& name);
  std::string path(const std::string& name) const { return directory_ / name; }
  std::string log() const;
  pid_t pid() const { return supervisor_; }
  std::vector<std::string> open_fds() const;

  // Ends it in order and checks that nothing is left.
  void stop(const Words& more = {});

 private:
  pid_t launch(const Words& words, const std::string& tag);
  Words run_words(const Words& more);
  int wait_for(pid_t pid);
  void check_nothing_is_left();

  TemporaryDirectory directory_;
  pid_t supervisor_ = -1;
  int commands_ = 0;
  std::vector<std::pair<pid_t, std::string>> tags_;
};

}  // namespace baton::supervisor
