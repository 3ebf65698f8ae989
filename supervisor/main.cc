// The supervisor and its command line, in one program.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <exception>

#include "supervisor/check_command.h"
#include "supervisor/client_commands.h"
#include "supervisor/command_line.h"
#include "supervisor/run_command.h"
#include "supervisor/take_over_command.h"

namespace {

using baton::supervisor::Command;

int run(int argc, char** argv) {
  const auto line = baton::supervisor::parse_command_line(argc, argv);
  if (!line) return line.error();
  switch (line->command) {
    case Command::Run:
      return baton::supervisor::run_command(*line);
    case Command::Reload:
    case Command::Rollback:
      return baton::supervisor::reload_command(*line);
    case Command::Drain:
      return baton::supervisor::drain_command(*line);
    case Command::Status:
      return baton::supervisor::status_command(*line);
    case Command::Stats:
      return baton::supervisor::stats_command(*line);
    case Command::Stop:
      return baton::supervisor::stop_command(*line);
    case Command::Check:
      return baton::supervisor::check_command(*line);
    case Command::Upgrade:
      return baton::supervisor::upgrade_command(*line);
    case Command::TakeOver:
      return baton::supervisor::take_over_command(*line);
  }
  return baton::supervisor::kBadUsage;
}

// A file that is opened later is not to become a standard stream: others write there.
bool open_standard_streams() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (::fcntl(fd, F_GETFD) < 0 && ::open("/dev/null", O_RDWR) != fd) return false;
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  // A file that may not grow any more, be it only the log, is an error of the call that writes.
  ::signal(SIGXFSZ, SIG_IGN);
  if (!open_standard_streams()) return baton::supervisor::kFailed;
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "supervisor: %s\n", error.what());
    return baton::supervisor::kFailed;
  }
}
