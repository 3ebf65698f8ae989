// The command line of the supervisor: what was asked for, checked and made absolute.
// Thread: main, at start.
#pragma once

#include <chrono>
#include <expected>
#include <optional>
#include <string>

#include "proto/control.pb.h"
#include "supervisor/settings.h"

namespace baton::supervisor {

enum class Command { Run, Reload, Rollback, Drain, Status, Stats, Stop, Check, Upgrade, TakeOver };

struct CommandLine {
  Command command = Command::Run;
  std::string control;                // path of the control socket
  bool usual_control = false;         // ... and it is the default
  std::optional<std::string> config;  // paths are absolute, against the caller's directory
  std::optional<std::string> proxy;
  SettingsLayer flags;
  std::string control_group;
  std::string log_level = "info";
  std::string log_format = "text";
  proto::WaitFor wait = proto::WAIT_COMMIT;
  proto::StatsFormat stats_format = proto::STATS_TEXT;
  std::string filter;
  std::optional<std::string> binary;  // of the supervisor
  // `take-over`, which a supervisor runs, never a user.
  int state_fd = -1;
  int answer_fd = -1;
  bool only_check = false;
  bool json = false;
  bool watch = false;
  bool now = false;
};

// Exit statuses of every command.
inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;
inline constexpr int kBadUsage = 2;
inline constexpr int kNoSupervisor = 3;
inline constexpr int kRefused = 4;

// The error is the exit status; whatever there was to say has been printed (0: --help, --version).
std::expected<CommandLine, int> parse_command_line(int argc, char** argv);

}  // namespace baton::supervisor
