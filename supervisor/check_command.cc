#include "supervisor/check_command.h"

#include <poll.h>

#include <cstdio>

#include "shared/os/format.h"
#include "shared/os/process.h"
#include "shared/os/standard_output.h"
#include "supervisor/open_pair.h"
#include "supervisor/program_path.h"
#include "supervisor/proxy_version.h"

namespace baton::supervisor {
namespace {

int complain(const std::string& text) {
  std::fprintf(stderr, "supervisor: %s\n", text.c_str());
  return kBadUsage;
}

}  // namespace

int check_command(const CommandLine& line) {
  FdTable fds;
  const auto pair =
      open_pair(fds, line.proxy.value_or(default_proxy_path()), line.config.value_or(""));
  if (!pair) return complain(pair.error().text());
  const auto version = proxy_version(fds.get(pair->binary), pair->binary_path);
  if (!version) return complain(version.error().text());
  std::vector<std::string> arguments{pair->binary_path, "--check"};
  if (line.config) arguments.insert(arguments.end(), {"--config", *line.config});
  const auto child = os::spawn({.binary_fd = fds.get(pair->binary), .arguments = arguments});
  if (!child) return complain(child.error().text());
  pollfd ended{.fd = child->pidfd.get(), .events = POLLIN};
  while (::poll(&ended, 1, -1) < 0) {
  }
  const auto status = os::reap(child->pidfd.get());
  if (!status) return complain(status.error().text());
  if (status->signal != 0) return complain(pair->binary_path + " was " + status->text());
  if (status->code != 0) return kBadUsage;
  for (const std::string& error : pair->settings_errors)
    std::fprintf(stderr, "%s\n", error.c_str());
  if (!pair->settings_errors.empty()) return kBadUsage;
  const std::string verdict =
      os::format("{} is good, says proxy {} ({})\n",
                 line.config.value_or("the built-in configuration"), *version, pair->binary_path);
  return os::print("supervisor", verdict) ? kDone : kFailed;
}

}  // namespace baton::supervisor
