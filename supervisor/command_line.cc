#include "supervisor/command_line.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <sstream>

#include "shared/os/duration.h"
#include "shared/os/format.h"
#include "shared/os/log.h"
#include "shared/os/standard_output.h"
#include "supervisor/control_socket.h"
#include "supervisor/program_path.h"
#include "supervisor/version.h"

namespace baton::supervisor {
namespace {

using Milliseconds = std::optional<std::chrono::milliseconds>;

// A relative path is against the caller's directory. Error: that directory is gone.
std::string absolute_or_throw(const std::string& flag, const std::filesystem::path& path) {
  auto whole = absolute_path(path);
  if (!whole) {
    throw CLI::ValidationError(flag, "a relative path, but the current directory is not there (" +
                                         os::error_text(whole.error().code) + ")");
  }
  return std::move(*whole);
}

// Adds the options of each subcommand; each writes straight into the result.
class Grammar {
 public:
  // `program`: as what it was called, `supervisor` or `baton`.
  Grammar(CommandLine& line, const std::string& program) : line_(line) {
    app_.name(program);
    app_.require_subcommand(1);
    app_.set_version_flag("--version", os::format("baton supervisor {}", kVersion));
    add_run();
    add_reload();
    add_rollback();
    add_drain();
    add_status();
    add_stats();
    add_stop();
    add_upgrade();
    add_check();
    add_take_over();
  }

  void parse(int argc, char** argv) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::RequiredError&) {
      // It does not say which word is no subcommand.
      const std::vector<std::string> words = app_.remaining();
      if (words.empty() || !app_.get_subcommands().empty()) throw;
      throw CLI::ExtrasError({words.front()});
    }
  }
  // Help and version, or what is wrong; returns the exit status.
  int print(const CLI::ParseError& error) {
    std::ostringstream out;
    if (app_.exit(error, out, std::cerr) != 0) return kBadUsage;
    return os::print("supervisor", out.str()) ? kDone : kFailed;
  }

 private:
  CLI::App& add(const std::string& name, const std::string& description, Command command) {
    CLI::App& sub = *app_.add_subcommand(name, description);
    sub.callback([this, command] { line_.command = command; });
    // `check` takes it like all the others, and asks nobody.
    const auto usual = default_control_path();
    sub.add_option_function<std::string>(
           "--control",
           [this](const std::string& path) {
             // A script's variable that is not set: not the usual supervisor is meant.
             if (path.empty()) throw CLI::ValidationError("--control", "the path is empty");
             line_.control = absolute_or_throw("--control", path);
           },
           os::format("Control socket [{}]", usual.value_or("none is known")))
        ->type_name("PATH");
    return sub;
  }

  static void add_path(CLI::App& sub, const std::string& flag, std::optional<std::string>& target,
                       const std::string& description) {
    sub.add_option_function<std::string>(
           flag,
           [&target, flag](const std::string& path) {
             if (path.empty()) throw CLI::ValidationError(flag, "the path is empty");
             target = absolute_or_throw(flag, path);
           },
           description)
        ->type_name("FILE");
  }

  static void add_duration(CLI::App& sub, const std::string& flag, Milliseconds& target,
                           os::DurationRange range, const std::string& description) {
    sub.add_option_function<std::string>(
           flag,
           [&target, flag, range](const std::string& text) {
             const auto value = os::parse_duration(text, range);
             if (!value) throw CLI::ValidationError(flag, value.error());
             target = *value;
           },
           description)
        ->type_name("DURATION");
  }

  // The texts say what holds without the flag.
  void add_drain_flags(CLI::App& sub, const std::string& time, const std::string& strategy,
                       const std::string& probation) {
    add_duration(sub, "--drain-time", line_.flags.drain_time, kDrainTimeRange,
                 os::format("How long old connections may go on [{}]", time));
    sub.add_option_function<std::string>(
           "--drain-strategy",
           [this](const std::string& text) {
             line_.flags.drain_strategy = parse_drain_strategy(text);
             if (line_.flags.drain_strategy) return;
             throw CLI::ValidationError("--drain-strategy", "expected gradual or immediate");
           },
           os::format("gradual or immediate [{}]", strategy))
        ->type_name("STRATEGY");
    add_duration(sub, "--probation", line_.flags.probation, kProbationRange,
                 os::format("How long new must prove itself [{}]", probation));
  }

  // CLI11's own exclusion puts noise into --help.
  static void exclude(CLI::App& sub, const std::string& one, const std::string& other) {
    sub.parse_complete_callback([&sub, one, other] {
      if (sub.count(one) != 0 && sub.count(other) != 0) {
        throw CLI::ValidationError(one, "excludes " + other);
      }
    });
  }

  void add_run() {
    CLI::App& sub =
        add("run", "Start a proxy, keep it running, and obey the other commands", Command::Run);
    add_path(sub, "--config", line_.config, "Configuration (TOML); without it, the built-in one");
    add_path(sub, "--proxy", line_.proxy, "Proxy binary [" + default_proxy_path() + "]");
    const Settings usual;
    add_drain_flags(sub, os::format_duration(usual.drain_time),
                    std::string(drain_strategy_name(usual.drain_strategy)),
                    os::format_duration(usual.probation));
    sub.add_option("--control-group", line_.control_group, "Group whose members may command, too")
        ->type_name("GROUP");
    sub.add_option("--log-level", line_.log_level, "debug, info, warning, error or off")
        ->type_name("LEVEL")
        ->capture_default_str()
        ->check(CLI::IsMember({"debug", "info", "warning", "error", "off"}).description(""));
    sub.add_option("--log-format", line_.log_format, "text or json")
        ->type_name("FORMAT")
        ->capture_default_str()
        ->check(CLI::IsMember({"text", "json"}).description(""));
    sub.footer(
        "Flags win over the configuration's [supervisor] table. Signals: HUP reload,\n"
        "TERM and INT stop with drain (again: at once), USR1 reopen logs, USR2 upgrade.");
  }

  void add_reload() {
    CLI::App& sub =
        add("reload", "Replace the running generation; fails with the old one still serving",
            Command::Reload);
    add_path(sub, "--config", line_.config, "Configuration (TOML) [the same path as before]");
    add_path(sub, "--proxy", line_.proxy, "Proxy binary [the same path as before]");
    add_drain_flags(sub, "as configured", "as configured", "as configured");
    sub.add_flag_callback(
        "--no-wait", [this] { line_.wait = proto::WAIT_SERVING; },
        "Return once new serves, before its probation");
    sub.add_flag_callback(
        "--wait-drained", [this] { line_.wait = proto::WAIT_DRAINED; },
        "Return once old has exited");
    exclude(sub, "--no-wait", "--wait-drained");
  }

  void add_rollback() {
    add("rollback",
        "End the reload under way; without one, go back to the previous binary and configuration",
        Command::Rollback);
  }

  void add_drain() {
    CLI::App& sub =
        add("drain", "Give the generations that drain another deadline, from now", Command::Drain);
    add_duration(sub, "--drain-time", line_.flags.drain_time, kDrainTimeRange,
                 "How long they may go on");
    sub.get_option("--drain-time")->required();
  }

  void add_status() {
    CLI::App& sub = add("status", "Show the generations, a reload in progress and the last one",
                        Command::Status);
    sub.add_flag("--json", line_.json, "As JSON");
    sub.add_flag("--watch", line_.watch, "Again every second, until interrupted");
  }

  void add_stats() {
    CLI::App& sub = add("stats", "Show all metrics", Command::Stats);
    sub.add_flag_callback("--json", [this] { line_.stats_format = proto::STATS_JSON; }, "As JSON");
    sub.add_flag_callback(
        "--prometheus", [this] { line_.stats_format = proto::STATS_PROMETHEUS; },
        "In Prometheus text format");
    exclude(sub, "--json", "--prometheus");
    sub.add_option("--filter", line_.filter, "Only metrics whose name{labels} matches somewhere")
        ->type_name("REGEX");
  }

  void add_stop() {
    CLI::App& sub =
        add("stop", "Drain and end everything; returns when it has ended", Command::Stop);
    add_duration(sub, "--drain-time", line_.flags.drain_time, kDrainTimeRange,
                 "How long connections may go on [as configured]");
    sub.add_flag("--now", line_.now, "At once, cutting connections");
    exclude(sub, "--now", "--drain-time");
  }

  void add_check() {
    CLI::App& sub = add("check", "Say whether a configuration is good, and every mistake in it",
                        Command::Check);
    add_path(sub, "--config", line_.config, "Configuration (TOML); without it, the built-in one");
    add_path(sub, "--proxy", line_.proxy,
             "Proxy binary that judges [" + default_proxy_path() + "]");
  }

  void add_upgrade() {
    CLI::App& sub = add("upgrade", "Replace the supervisor itself, in place, and nothing else",
                        Command::Upgrade);
    add_path(sub, "--binary", line_.binary, "Supervisor binary [where the running one was]");
  }

  void add_take_over() {
    CLI::App& sub = *app_.add_subcommand("take-over")->group("");
    sub.callback([this] { line_.command = Command::TakeOver; });
    sub.add_option("--state-fd", line_.state_fd)->required();
    sub.add_option("--answer-fd", line_.answer_fd);
    sub.add_flag("--check", line_.only_check);
  }

  CommandLine& line_;
  CLI::App app_{
      "Baton's supervisor: runs the proxy and replaces it without anybody noticing.\n"
      "Exit status: 0 done; 1 failed, the old generation still serves; 2 wrong usage or\n"
      "configuration; 3 no supervisor there; 4 refused (busy, not permitted)."};
};

std::expected<void, int> settle_control_path(CommandLine& line) {
  if (line.command == Command::Check || line.command == Command::TakeOver) return {};
  if (!line.control.empty()) return {};
  const auto usual = default_control_path();
  if (!usual) {
    std::fprintf(stderr, "supervisor: %s\n", usual.error().text().c_str());
    return std::unexpected(kBadUsage);
  }
  line.control = *usual;
  line.usual_control = true;
  return {};
}

}  // namespace

std::expected<CommandLine, int> parse_command_line(int argc, char** argv) {
  CommandLine line;
  const std::string called = argc > 0 ? std::filesystem::path(argv[0]).filename() : "";
  Grammar grammar(line, called.empty() ? "supervisor" : called);
  try {
    grammar.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return std::unexpected(grammar.print(error));
  }
  if (const auto settled = settle_control_path(line); !settled) {
    return std::unexpected(settled.error());
  }
  return line;
}

}  // namespace baton::supervisor
