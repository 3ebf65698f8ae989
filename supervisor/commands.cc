#include "supervisor/commands.h"

#include <signal.h>

#include "shared/os/log.h"
#include "shared/os/memfd.h"
#include "supervisor/same_secret.h"
#include "supervisor/status_report.h"

namespace baton::supervisor {
namespace {

using proto::ErrorReply;

// Beyond those the log says nothing of one more.
constexpr std::size_t kMostStrangers = 64;
constexpr std::uint64_t kLongestMs = 10ULL * 365 * 86'400'000;

bool is_absolute(const std::string& path) { return path.starts_with('/'); }

std::chrono::milliseconds milliseconds(std::uint64_t count) {
  return std::chrono::milliseconds(std::min(count, kLongestMs));
}

SettingsLayer flags_of(const proto::ReloadRequest& request) {
  SettingsLayer flags;
  if (request.has_drain_time_ms()) flags.drain_time = milliseconds(request.drain_time_ms());
  if (request.has_probation_ms()) flags.probation = milliseconds(request.probation_ms());
  if (request.has_drain_strategy()) {
    flags.drain_strategy = request.drain_strategy() == proto::IMMEDIATE ? DrainStrategy::Immediate
                                                                        : DrainStrategy::Gradual;
  }
  return flags;
}

void answer(const proto::Responder& client, std::uint32_t exit_status, const std::string& text) {
  proto::CommandReply reply;
  reply.set_exit_status(exit_status);
  reply.set_text(text);
  client.reply(reply);
}

}  // namespace

void Commands::reload(const proto::ReloadRequest& request, const proto::Responder& client) {
  ReloadPlan plan{.flags = flags_of(request)};
  if (request.has_proxy()) plan.binary_path = request.proxy();
  if (request.has_config()) plan.config_path = request.config();
  for (const auto& path : {plan.binary_path, plan.config_path}) {
    if (path && !is_absolute(*path)) {
      return client.fail(ErrorReply::BAD_REQUEST, "paths must be absolute: " + *path);
    }
  }
  begin(plan, request, client);
}

void Commands::rollback(const proto::ReloadRequest& request, const proto::Responder& client) {
  if (const auto refused = supervisor_.roll_back(flags_of(request), client, request.wait())) {
    client.fail(ErrorReply::REFUSED, *refused);
  }
}

void Commands::begin(const ReloadPlan& plan, const proto::ReloadRequest& request,
                     const proto::Responder& client) {
  if (const auto refused = supervisor_.reload(plan, client, request.wait())) {
    client.fail(ErrorReply::REFUSED, *refused);
  }
}

void Commands::retune_drain(const proto::RetuneDrainRequest& request,
                            const proto::Responder& client) {
  if (supervisor_.retune_drains(milliseconds(request.drain_time_ms()))) {
    answer(client, 0, "");
  } else {
    answer(client, 1, "nothing is draining, or only what is about to be cut");
  }
}

void Commands::status(const proto::Responder& client) {
  report_status(supervisor_.state(), supervisor_.region(), supervisor_.reload_in_progress(),
                supervisor_.note(), client);
}

void Commands::stats(const proto::StatsRequest& request, const proto::Responder& client) {
  const auto text = supervisor_.region().text(request.format(), request.filter());
  if (!text) {
    const bool bad_filter = text.error().code == 0;
    return client.fail(bad_filter ? ErrorReply::BAD_REQUEST : ErrorReply::FAILED,
                       text.error().text());
  }
  const auto file = os::create_sealed_memfd("baton-stats", *text);
  if (!file) return client.fail(ErrorReply::FAILED, file.error().text());
  const int fds[] = {file->get()};
  client.reply(proto::StatsReply(), fds);
}

void Commands::stop(const proto::StopRequest& request, const proto::Responder& client) {
  log::info("the command line asks to stop{}", request.now() ? " at once" : "");
  if (request.now()) return supervisor_.stop_now(client);
  std::optional<std::chrono::milliseconds> time;
  if (request.has_drain_time_ms()) time = milliseconds(request.drain_time_ms());
  supervisor_.stop(time, client);
}

void Commands::reopen_logs(const proto::Responder& client) {
  supervisor_.reopen_logs();
  answer(client, 0, "");
}

// Only a supervisor that has just replaced one takes any back: see Reunion. One that was taken for
// ended then, and proves that it was not, may not go on serving once another one is in charge.
void Commands::come_back(const proto::ComeBack& request, proto::Fds, pid_t peer,
                         const proto::Responder& generation) {
  generation.fail(ErrorReply::REFUSED, "no generation is missed");
  if (!request.last()) return;  // it comes in parts
  const bool is_new = strangers_.size() < kMostStrangers && strangers_.insert(peer).second;
  for (const PresumedEnded& presumed : supervisor_.state().presumed_ended) {
    if (presumed.generation != request.generation() || presumed.pid != peer ||
        !same_secret(presumed.token, request.token())) {
      continue;
    }
    if (!supervisor_.is_anyone_in_charge()) return;
    log::error("generation {} was taken for ended, and has not: killing process {}",
               presumed.generation, peer);
    // It has asked a moment ago: no other process has the number yet.
    ::kill(peer, SIGKILL);
    return;
  }
  if (!is_new) return;
  log::warning("process {} says it is generation {}, which is not missed", peer,
               request.generation());
}

void Commands::upgrade(const proto::UpgradeRequest& request, const proto::Responder& client) {
  std::optional<std::string> binary;
  if (request.has_binary()) binary = request.binary();
  if (binary && !is_absolute(*binary)) {
    return client.fail(ErrorReply::BAD_REQUEST, "paths must be absolute: " + *binary);
  }
  if (const auto refused = supervisor_.upgrade(binary, client)) {
    client.fail(ErrorReply::REFUSED, *refused);
  }
}

}  // namespace baton::supervisor
