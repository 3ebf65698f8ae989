#include "proxy/server/proxy_main.h"

#include <CLI/CLI.hpp>
#include <sys/prctl.h>

#include <csignal>
#include <cstdio>
#include <iostream>
#include <optional>
#include <sstream>

#include "proxy/config/fd_budget.h"
#include "proxy/config/load_config.h"
#include "proxy/network/send_ring.h"
#include "proxy/server/standalone.h"
#include "proxy/server/supervised.h"
#include "proxy/server/system_call_filter.h"
#include "shared/os/duration.h"
#include "shared/os/fd_limit.h"
#include "shared/os/log.h"
#include "shared/os/memfd.h"
#include "shared/os/socket_type.h"
#include "shared/os/standard_output.h"

namespace baton::proxy {
namespace {

constexpr int kFailed = 1;
constexpr int kBadInput = 2;
// Half a megabyte of the kernel's memory; with more connections than that a stall at each doubling.
constexpr std::uint64_t kReservedFds = 65'536;
// Of the supervisor's drain_time.
constexpr os::DurationRange kDrainTimeRange{std::chrono::milliseconds(0), std::chrono::days(30)};

struct Options {
  std::string config;
  std::string drain_time = "30s";
  std::string log_level = "info";
  std::string log_format = "text";
  bool check = false;
  std::optional<int> channel_fd;
};

// Nothing: parsing has printed what it had to, and left the exit status.
std::optional<Options> parse(int argc, char** argv, const BuildInfo& build, int& exit_status) {
  Options options;
  CLI::App app{"Baton's proxy. Usually run by `supervisor run`; alone, it serves until SIGTERM."};
  app.name("proxy");
  app.add_option_function<std::string>(
         "--config",
         [&options](const std::string& path) {
           // A script's variable that is not set: the built-in configuration is not meant.
           if (path.empty()) throw CLI::ValidationError("--config", "the path is empty");
           options.config = path;
         },
         "Configuration file (TOML); built-in if not given")
      ->type_name("FILE");
  app.add_flag("--check", options.check, "Check the configuration and exit: 0 good, 2 bad");
  app.add_option("--drain-time", options.drain_time, "At SIGTERM, how long connections may go on")
      ->type_name("DURATION")
      ->capture_default_str();
  app.add_option("--log-level", options.log_level, "debug, info, warning, error or off")
      ->type_name("LEVEL")
      ->capture_default_str();
  app.add_option("--log-format", options.log_format, "text or json")
      ->type_name("FORMAT")
      ->capture_default_str();
  app.add_option("--channel-fd", options.channel_fd)->group("");      // the supervisor's business
  app.set_version_flag("--version", "baton proxy " + build.version);  // `supervisor check` asks
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::ostringstream out;  // help and version
    const bool asked = app.exit(error, out, std::cerr) == 0;
    exit_status = !asked ? kBadInput : os::print("proxy", out.str()) ? 0 : kFailed;
    return std::nullopt;
  }
  return options;
}

int usage_error(const std::string& message) {
  std::fprintf(stderr, "proxy: %s\n", message.c_str());
  return kBadInput;
}

// Nothing: every mistake has been printed.
std::optional<Config> load(const Options& options, std::uint64_t fd_limit) {
  std::string bytes(built_in_config());
  std::string file(kBuiltInConfigName);
  if (!options.config.empty()) {
    auto read = os::read_file(options.config, kMaxConfigBytes);
    if (!read) return usage_error(read.error().text()), std::nullopt;
    bytes = std::move(*read);
    file = options.config;
  }
  auto config = load_config(bytes, file);
  if (!config) {
    for (const ConfigError& error : config.error()) {
      std::fprintf(stderr, "%s\n", error.text().c_str());
    }
    return std::nullopt;
  }
  if (const auto shortage = fd_shortage(*config, fd_limit)) {
    return usage_error(file + ": " + *shortage), std::nullopt;
  }
  return std::move(*config);
}

}  // namespace

int proxy_main(int argc, char** argv, const BuildInfo& build) {
  // A file that may not grow any more, be it only the log, is an error of the call that writes.
  std::signal(SIGXFSZ, SIG_IGN);
  int exit_status = 0;
  const std::optional<Options> options = parse(argc, argv, build, exit_status);
  if (!options) return exit_status;

  log::Options log{.program = "proxy"};
  if (!log::parse_level(options->log_level, log.level)) {
    return usage_error("--log-level: debug, info, warning, error or off");
  }
  if (!log::parse_format(options->log_format, log.format)) {
    return usage_error("--log-format: text or json");
  }
  const auto drain_time = os::parse_duration(options->drain_time, kDrainTimeRange);
  if (!drain_time) return usage_error("--drain-time: " + drain_time.error());
  log::init(log);
  ::prctl(PR_SET_NAME, "proxy");  // run from a descriptor, it would be named after its number
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGTTOU, SIG_IGN);  // a terminal with `tostop` would stop it at its first line
  const std::uint64_t fd_limit = os::raise_fd_limit();
  os::reserve_fds(kReservedFds);
  // More workers than that gain nothing from rings either.
  SendRings rings = options->check ? SendRings() : make_send_rings(default_workers());
  if (const auto restricted = restrict_system_calls(); !restricted) {
    log::warning("going on with all system calls allowed: {}", restricted.error().text());
  }

  if (options->channel_fd && os::socket_type(*options->channel_fd) != SOCK_SEQPACKET) {
    return usage_error("--channel-fd: not a supervisor's channel");
  }
  if (options->channel_fd) {
    // Under a supervisor only its orders count: a signal to the whole group must not end this.
    for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2}) {
      std::signal(number, SIG_IGN);
    }
    EventLoop loop;
    return SupervisedGeneration(loop, build, log, os::UniqueFd(*options->channel_fd),
                                std::move(rings))
        .run();
  }
  // What a supervisor takes as an order to reload or upgrade must not end one that has none.
  std::signal(SIGHUP, SIG_IGN);
  std::signal(SIGUSR2, SIG_IGN);
  std::optional<Config> config = load(*options, fd_limit);
  if (!config) return kBadInput;
  if (options->check) return 0;
  EventLoop loop;
  return Standalone(loop, build, std::move(*config), *drain_time, std::move(rings)).run();
}

}  // namespace baton::proxy
