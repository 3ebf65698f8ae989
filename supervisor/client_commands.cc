#include "supervisor/client_commands.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <thread>

#include "shared/os/format.h"
#include "shared/os/memfd.h"
#include "shared/os/standard_output.h"
#include "supervisor/client.h"
#include "supervisor/moves_view.h"
#include "supervisor/progress_view.h"
#include "supervisor/state.h"
#include "supervisor/status_view.h"

namespace baton::supervisor {
namespace {

constexpr std::chrono::milliseconds kAnswerTime{10'000};
constexpr std::chrono::milliseconds kUpgradeTime{20'000};
constexpr std::chrono::milliseconds kNoDeadline{0};
constexpr std::size_t kMaxStatsBytes = 256 * 1024 * 1024;

int complain(const ClientError& error) {
  std::fprintf(stderr, "supervisor: %s\n", error.text.c_str());
  return error.exit_status;
}

// kDone, unless the text has not arrived where it was to go.
int print(const std::string& text) { return os::print("supervisor", text) ? kDone : kFailed; }

proto::ReloadRequest reload_request(const CommandLine& line) {
  proto::ReloadRequest request;
  if (line.config) request.set_config(*line.config);
  if (line.proxy) request.set_proxy(*line.proxy);
  const SettingsLayer& flags = line.flags;
  if (flags.drain_time) {
    request.set_drain_time_ms(static_cast<std::uint64_t>(flags.drain_time->count()));
  }
  if (flags.drain_strategy) {
    request.set_drain_strategy(*flags.drain_strategy == DrainStrategy::Immediate ? proto::IMMEDIATE
                                                                                 : proto::GRADUAL);
  }
  if (flags.probation) {
    request.set_probation_ms(static_cast<std::uint64_t>(flags.probation->count()));
  }
  request.set_wait(line.wait);
  return request;
}

int report(const proto::ReloadReply& reply, const CommandLine& line) {
  if (reply.ok()) {
    print(os::format("generation {} {}\n", reply.to(),
                     line.wait == proto::WAIT_SERVING ? "serves, on probation" : "is in charge"));
    if (reply.has_moves()) print(moves_text(reply.moves()) + "\n");
    return kDone;
  }
  // Lines about a file come as they are, so that tools find "file:line:column" at their beginning.
  std::fputs(os::format("{}\nsupervisor: the {} has failed{}: {}\n", reply.reason(),
                        line.command == Command::Rollback ? "rollback" : "reload",
                        reply.rolled_back() ? " and was rolled back" : "", reply.aftermath())
                 .c_str(),
             stderr);
  return kFailed;
}

std::expected<proto::StatusReply, ClientError> ask_status(Client& client) {
  proto::StatusReply whole;
  const auto merge = [&whole](std::string_view body) {
    proto::StatusReply part;
    if (part.ParseFromArray(body.data(), static_cast<int>(body.size()))) whole.MergeFrom(part);
  };
  const auto last =
      client.ask<proto::StatusReply>(proto::STATUS, proto::StatusRequest(), kAnswerTime, merge);
  if (!last) return std::unexpected(last.error());
  whole.MergeFrom(*last);
  return whole;
}

}  // namespace

int reload_command(const CommandLine& line) {
  const auto client = Client::connect(line.control);
  if (!client) return complain(client.error());
  const auto kind = line.command == Command::Rollback ? proto::ROLLBACK : proto::RELOAD;
  std::expected<proto::ReloadReply, ClientError> reply;
  {
    ProgressView view(ProgressView::detect());
    reply = (*client)->ask<proto::ReloadReply>(
        kind, reload_request(line), kNoDeadline, [&view](std::string_view body) {
          proto::Progress progress;
          if (progress.ParseFromArray(body.data(), static_cast<int>(body.size()))) {
            view.show(progress);
          }
        });
  }
  if (!reply) return complain(reply.error());
  return report(*reply, line);
}

int drain_command(const CommandLine& line) {
  const auto client = Client::connect(line.control);
  if (!client) return complain(client.error());
  proto::RetuneDrainRequest request;
  request.set_drain_time_ms(static_cast<std::uint64_t>(line.flags.drain_time->count()));
  const auto reply = (*client)->ask<proto::CommandReply>(proto::RETUNE_DRAIN, request, kAnswerTime);
  if (!reply) return complain(reply.error());
  if (reply->exit_status() == 0) return kDone;
  return complain({static_cast<int>(reply->exit_status()), reply->text()});
}

int status_command(const CommandLine& line) {
  auto client = Client::connect(line.control);
  if (!client) return complain(client.error());
  const bool redraw = line.watch && !line.json && ::isatty(STDOUT_FILENO);
  for (;;) {
    auto status = ask_status(**client);
    if (!status && line.watch && status.error().exit_status == kNoSupervisor) {
      // Between two questions it may have had to make place for another command.
      if (auto again = Client::connect(line.control)) {
        client = std::move(again);
        status = ask_status(**client);
      } else if (again.error().exit_status != kNoSupervisor) {
        status = std::unexpected(again.error());
      }
    }
    if (!status) return complain(status.error());
    const int printed = print((redraw ? "\x1b[H\x1b[2J" : "") +
                              (line.json ? status_json(*status) : status_text(*status, now())));
    if (!line.watch || printed != kDone) return printed;
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
}

int stats_command(const CommandLine& line) {
  const auto client = Client::connect(line.control);
  if (!client) return complain(client.error());
  proto::StatsRequest request;
  request.set_format(line.stats_format);
  request.set_filter(line.filter);
  const auto reply = (*client)->call(proto::STATS, request, kAnswerTime);
  if (!reply) return complain(reply.error());
  if (reply->fds.size() != 1) return complain({kFailed, "the supervisor's answer is malformed"});
  const auto text = os::read_sealed_memfd(reply->fds.front().get(), kMaxStatsBytes);
  if (!text) return complain({kFailed, text.error().text()});
  return print(*text);
}

int upgrade_command(const CommandLine& line) {
  const auto client = Client::connect(line.control);
  if (!client) return complain(client.error());
  proto::UpgradeRequest request;
  if (line.binary) request.set_binary(*line.binary);
  const auto reply = (*client)->ask<proto::CommandReply>(proto::UPGRADE, request, kUpgradeTime);
  if (!reply) return complain(reply.error());
  if (reply->exit_status() != 0) {
    return complain({static_cast<int>(reply->exit_status()), reply->text()});
  }
  print(reply->text() + "\n");
  return kDone;  // it is done, whoever heard of it
}

int stop_command(const CommandLine& line) {
  const auto client = Client::connect(line.control);
  if (!client) return complain(client.error());
  proto::StopRequest request;
  request.set_now(line.now);
  if (line.flags.drain_time) {
    request.set_drain_time_ms(static_cast<std::uint64_t>(line.flags.drain_time->count()));
  }
  const auto reply = (*client)->ask<proto::CommandReply>(proto::STOP, request, kNoDeadline);
  if (!reply && reply.error().exit_status != kNoSupervisor) return complain(reply.error());
  if ((*client)->wait_for_end(kAnswerTime)) {
    // Its last words may get lost; but one that ends in order takes its socket along before.
    if (reply || ::access(line.control.c_str(), F_OK) != 0) return kDone;
    return complain({kFailed, "the supervisor died before it had stopped everything"});
  }
  return complain({kFailed, reply ? "the supervisor has stopped its generations but does not end"
                                  : "the connection to the supervisor was lost, and it goes on"});
}

}  // namespace baton::supervisor
