// How the supervisor is replaced, and how it goes on in place of one before it.
#include <unistd.h>

#include <algorithm>

#include "shared/os/format.h"
#include "shared/os/log.h"
#include "shared/os/memfd.h"
#include "supervisor/command_line.h"
#include "supervisor/program_path.h"
#include "supervisor/state_codec.h"
#include "supervisor/supervisor.h"
#include "supervisor/version.h"

namespace baton::supervisor {

using lifecycle::Stage;

RunResult Supervisor::run_loop() {
  // A start that fails at once has ended before the loop could run, and a loop forgets that.
  while (state_.life.stage != Stage::Stopped) {
    loop_.run();
    if (std::exchange(replace_now_, false)) replace();
  }
  return result_;
}

// --- being replaced ------------------------------------------------------------------------------

std::optional<std::string> Supervisor::upgrade(const std::optional<std::string>& binary_path,
                                               std::optional<proto::Responder> client) {
  if (!lifecycle::accepts_upgrade(state_.life.stage)) {
    return std::string(lifecycle::refusal(state_.life.stage));
  }
  if (upgrade_) return "busy: another upgrade is in progress";
  upgrade_client_ = std::move(client);
  const std::string path = binary_path.value_or(program_at(state_.program));
  log::info("upgrading to {}", path);
  auto upgrade = Upgrade::start(
      loop_, path, encode_state(state_, 0),
      {.is_quiet = [this] { return nothing_is_queued(); },
       .ready =
           [this] {
             // Outside of all callbacks: what they hold is not there afterwards.
             replace_now_ = true;
             loop_.break_loop(ev::ALL);
           },
       .failed = [this](const std::string& reason) { end_upgrade(kFailed, reason); }});
  if (upgrade) {
    upgrade_ = std::move(*upgrade);
  } else {
    end_upgrade(kFailed, upgrade.error().text());
  }
  return std::nullopt;
}

bool Supervisor::nothing_is_queued() const {
  return std::ranges::all_of(generations_.all(), [](GenerationProcess* generation) {
    return generation->channel().queued_bytes() == 0;
  });
}

void Supervisor::end_upgrade(int exit_status, const std::string& text) {
  const std::string reason = text;  // the upgrade's own
  if (exit_status == kRefused) {
    log::warning("the upgrade is refused: {}", reason);
  } else {
    log::error("the upgrade has failed: {}", reason);
  }
  proto::CommandReply reply;
  reply.set_exit_status(static_cast<std::uint32_t>(exit_status));
  reply.set_text(reason);
  if (upgrade_client_) upgrade_client_->reply(reply);
  upgrade_client_.reset();
  upgrade_.reset();
}

// Returns only if it fails; everything is then as it was.
void Supervisor::replace() {
  const os::HeldSignals held;
  // Signals that the loop has caught and not handled yet would be forgotten.
  loop_.run(ev::NOWAIT);
  if (!upgrade_) return;  // what has come was the end of everything
  if (!lifecycle::accepts_upgrade(state_.life.stage)) {
    return end_upgrade(kRefused, std::string(lifecycle::refusal(state_.life.stage)));
  }
  if (!nothing_is_queued()) {
    return end_upgrade(kFailed, "a generation does not read what it is sent");
  }
  const std::vector<int> kept = pack_for_exec();
  const std::string program = std::exchange(state_.program, upgrade_->path());
  // A revision of its own: the next program keeps it, and what it keeps is later than this one's.
  state_.touch();
  const auto memory = os::create_sealed_memfd("baton-state", encode_state(state_, state_.revision));
  std::string reason;
  if (memory) {
    std::vector<int> all = kept;
    all.push_back(memory->get());
    reason = os::replace_program({.binary_fd = upgrade_->binary(),
                                  .arguments = {upgrade_->path(), "take-over", "--state-fd",
                                                std::to_string(memory->get())},
                                  .kept = all})
                 .text();
  } else {
    reason = memory.error().text();
  }
  state_.clients.clear();
  state_.program = program;
  end_upgrade(kFailed, reason);
}

// What is not in the state by itself goes into it; the descriptors it names.
std::vector<int> Supervisor::pack_for_exec() {
  std::vector<int> kept;
  state_.fds.for_each([&kept](FdIndex, int fd) { kept.push_back(fd); });
  kept.push_back(region_.fd());
  for (GenerationProcess* generation : generations_.all()) {
    GenerationRecord& record = generation->record();
    // One that has just ended has neither pidfd nor channel; its record is still there.
    record.channel_fd = -1;
    if (record.pidfd == kNoFd || !generation->channel().open()) continue;
    record.channel_fd = generation->channel().fd();
    record.channel_requests = generation->channel().last_request();
    kept.push_back(record.channel_fd);
  }
  drain_waiters_.answer_the_hasty();
  state_.clients = drain_waiters_.clients();
  const auto request = upgrade_client_ ? upgrade_client_->request() : std::nullopt;
  if (request) {
    state_.clients.push_back(
        {.fd = request->channel_fd, .kind = request->kind, .request = request->id});
  }
  // Those without a request here may have sent one that the next program is to read.
  for (const int fd : connections_ ? connections_() : std::vector<int>()) {
    if (std::ranges::find(state_.clients, fd, &WaitingClient::fd) == state_.clients.end()) {
      state_.clients.push_back({.fd = fd});
    }
  }
  for (const WaitingClient& client : state_.clients) kept.push_back(client.fd);
  return kept;
}

// --- going on ------------------------------------------------------------------------------------

RunResult Supervisor::resume(const std::string& binary_path, const std::string& config_path,
                             std::vector<AdoptedClient> clients) {
  adopt_generations();
  GenerationProcess* in_charge = generations_.in_charge();
  GenerationProcess* candidate = generations_.candidate();
  // The last one that was started, which may have ended meanwhile, or be about to: what it has
  // added is returned all the same.
  candidate_id_ = candidate != nullptr ? candidate->record().id : state_.next_generation - 1;
  // What was told to stop is not started again: only what `run` is given now.
  if (state_.life.stage == Stage::Stopping) state_.good = state_.previous = kNoPair;
  const lifecycle::Survivors survivors{
      .in_charge = in_charge != nullptr,
      .in_charge_paused = in_charge != nullptr && in_charge->record().phase == Phase::Paused,
      .candidate_serves = candidate != nullptr && candidate->record().phase == Phase::Serving,
      .has_good_pair = state_.good != kNoPair};
  const lifecycle::Step step = lifecycle::resume(state_.life, survivors);
  log::info("going on as process {}: {} -> {}", ::getpid(), lifecycle::name(state_.life.stage),
            lifecycle::name(step.state.stage));
  if (lifecycle::goes_on_with_reload(state_.life.stage, survivors)) {
    go_on_with_reload();
  } else if (lifecycle::can_roll_back(state_.life.stage)) {
    note_broken_reload();
  }
  state_.life = step.state;
  answer_clients(std::move(clients));
  for (const lifecycle::Action action : step.actions) act(action);
  state_.life.has_previous = state_.previous != kNoPair;
  reap_children();  // those that have ended meanwhile
  if (state_.life.stage == Stage::Idle) return run(binary_path, config_path);
  return run_loop();
}

// Those that run go on; those that have ended meanwhile leave what they have counted.
void Supervisor::adopt_generations() {
  std::vector<std::uint64_t> ended;
  std::vector<SocketKey> served;
  if (state_.life.stage != Stage::Stopping) {
    for (const auto& [id, record] : state_.generations) {
      if (record.role != Role::InCharge && record.role != Role::Candidate) continue;
      served.insert(served.end(), record.keys.begin(), record.keys.end());
    }
  }
  for (auto& [id, record] : state_.generations) {
    if (record.pidfd == kNoFd) {
      ended.push_back(id);
      continue;
    }
    const bool told_to_drain = record.role != Role::Draining || record.phase == Phase::Draining;
    generations_.adopt(record, os::UniqueFd(record.channel_fd));
    if (told_to_drain) continue;
    const std::chrono::duration<double> left(
        std::max(0.0, record.drain_deadline.value_or(0) - now()));
    generations_.drain(*generations_.with_id(id),
                       std::chrono::ceil<std::chrono::milliseconds>(left),
                       drain_strategy_of(record), kept_at_drain(served));
  }
  for (const std::uint64_t id : ended) {
    const bool crashed = state_.generations.at(id).role == Role::InCharge;
    if (crashed) region_.count_crash();
    generations_.bury(
        id, crashed ? GenerationSet::Metrics::KeepForReplacement : GenerationSet::Metrics::Forget);
  }
  generations_.drop_unused_pairs();
}

// Whoever asked for it has been told that the supervisor is gone.
void Supervisor::go_on_with_reload() {
  reload_.emplace(std::nullopt, proto::WAIT_COMMIT, in_charge_id(), region_.move_totals());
  reload_->set_to(candidate_id_);
  enter_phase("serve");
}

// A reload that the supervisor before has not finished.
void Supervisor::note_broken_reload() {
  const std::uint64_t from = in_charge_id();
  state_.last_reload = LastReload{.from = from,
                                  .to = state_.next_generation - 1,
                                  .reason = "the supervisor was killed during the reload",
                                  .phases = {}};
  log::error("{}", state_.last_reload->reason);
}

void Supervisor::answer_clients(std::vector<AdoptedClient> clients) {
  const std::string before = std::exchange(state_.version, kVersion);
  for (auto& [waits_for, responder] : clients) {
    if (waits_for == 0) {
      proto::CommandReply reply;
      reply.set_text(os::format("supervisor {} has taken over from {}: {}", kVersion, before,
                                program_at(state_.program)));
      responder.reply(reply);
      continue;
    }
    LastReload record{
        .ok = true, .from = waits_for, .to = in_charge_id(), .before = region_.move_totals()};
    if (state_.last_reload && state_.last_reload->from == waits_for) record = *state_.last_reload;
    ReloadReport report(std::move(responder), std::move(record));
    report.committed();
    const bool drains = generations_.with_id(waits_for) != nullptr;
    drains ? drain_waiters_.add(waits_for, std::move(report)) : report.drained();
  }
}

}  // namespace baton::supervisor
