// The state out of its message: nothing is taken for granted.

#include <algorithm>
#include <functional>
#include <set>

#include "shared/os/format.h"
#include "shared/region/layout.h"
#include "supervisor/saved_enums.h"
#include "supervisor/saved_state.h"

namespace baton::supervisor {
namespace {

using Loaded = std::expected<void, std::string>;

std::unexpected<std::string> bad(std::string what) { return std::unexpected(std::move(what)); }

template <class Message>
bool valid_index(bool present, Message index) {
  return !present || index < kMaxFds;
}

SettingsLayer load(const proto::SavedSettings& saved) {
  const auto ms = [](std::uint64_t count) {
    constexpr std::uint64_t kMost = std::chrono::milliseconds(std::chrono::days(3650)).count();
    return std::chrono::milliseconds(std::min(count, kMost));
  };
  SettingsLayer settings;
  if (saved.has_drain_time_ms()) settings.drain_time = ms(saved.drain_time_ms());
  if (saved.has_drain_strategy()) {
    settings.drain_strategy = from_saved(kSavedStrategies, saved.drain_strategy());
  }
  if (saved.has_probation_ms()) settings.probation = ms(saved.probation_ms());
  if (saved.has_start_timeout_ms()) settings.start_timeout = ms(saved.start_timeout_ms());
  if (saved.has_max_draining()) settings.max_draining = saved.max_draining();
  return settings;
}

StartPaths load(const proto::SavedPaths& saved) {
  return {.binary = saved.binary(), .config = saved.config()};
}

Loaded load(const proto::SavedLife& saved, lifecycle::State& life) {
  const auto stage = from_saved(kSavedStages, saved.stage());
  if (!stage) return bad(os::format("no stage {}", static_cast<int>(saved.stage())));
  life = {.stage = *stage,
          .quick_crashes = saved.quick_crashes(),
          .has_previous = saved.has_previous(),
          .fell_back = saved.fell_back()};
  return {};
}

Loaded load(const proto::SavedControl& saved, ControlSocket& control) {
  if (!valid_index(saved.has_lock(), saved.lock()) ||
      !valid_index(saved.has_listener(), saved.listener())) {
    return bad("a descriptor out of range");
  }
  control = {.path = saved.path(),
             .lock = saved.has_lock() ? saved.lock() : kNoFd,
             .listener = saved.has_listener() ? saved.listener() : kNoFd,
             .group = saved.group(),
             .made_directory = saved.made_directory()};
  return {};
}

Loaded load(const proto::SavedPair& saved, Pair& pair) {
  if (!valid_index(saved.has_binary(), saved.binary()) ||
      !valid_index(saved.has_config(), saved.config())) {
    return bad("a descriptor out of range");
  }
  pair = {.binary_path = saved.binary_path(),
          .binary = saved.has_binary() ? saved.binary() : kNoFd,
          .config_path = saved.config_path(),
          .config = saved.has_config() ? saved.config() : kNoFd,
          .settings = load(saved.settings()),
          .settings_errors = {saved.settings_errors().begin(), saved.settings_errors().end()},
          .generation = saved.generation(),
          .version = saved.version(),
          .crashes = saved.crashes()};
  return {};
}

Loaded load(const proto::SavedGeneration& saved, GenerationRecord& generation) {
  const auto role = from_saved(kSavedRoles, saved.role());
  const auto phase = from_saved(kSavedPhases, saved.phase());
  if (!role || !phase) return bad(os::format("generation {} has no role or phase", saved.id()));
  if (!valid_index(saved.has_pidfd(), saved.pidfd())) return bad("a descriptor out of range");
  generation.id = saved.id();
  generation.role = *role;
  generation.phase = *phase;
  generation.pid = saved.pid();
  generation.identity = saved.identity();
  generation.token = saved.token();
  if (saved.has_pidfd()) generation.pidfd = saved.pidfd();
  if (saved.has_channel()) generation.channel_fd = saved.channel();
  generation.channel_requests = saved.channel_requests();
  generation.pair = saved.pair();
  generation.region_slot = saved.region_slot();
  generation.shares_region = saved.shares_region();
  generation.version = saved.version();
  generation.features.assign(saved.features().begin(), saved.features().end());
  for (const proto::SocketKey& key : saved.keys()) {
    generation.keys.push_back(SocketKey::from_message(key));
  }
  generation.listeners.assign(saved.listeners().begin(), saved.listeners().end());
  generation.started = saved.started();
  if (saved.has_serving_since()) generation.serving_since = saved.serving_since();
  if (saved.has_draining_since()) generation.draining_since = saved.draining_since();
  if (saved.has_drain_deadline()) generation.drain_deadline = saved.drain_deadline();
  generation.drain_total = saved.drain_total();
  if (saved.has_drain_strategy()) {
    generation.drain_strategy = from_saved(kSavedStrategies, saved.drain_strategy());
  }
  generation.last_call = saved.last_call();
  for (const auto& gauge : saved.reported_gauges()) {
    generation.reported_gauges[gauge.cell()] = gauge.value();
  }
  return {};
}

// Seconds since the epoch, of any year that a clock may show: what a deadline is computed from.
bool valid_time(double time) { return time >= 0 && time < 1e11; }

// A time that is none is unknown: nothing serves less well for it.
void drop_bad_times(GenerationRecord& generation) {
  if (!valid_time(generation.started)) generation.started = 0;
  for (auto* time :
       {&generation.serving_since, &generation.draining_since, &generation.drain_deadline}) {
    if (*time && !valid_time(**time)) time->reset();
  }
}

using SavedRejections = google::protobuf::RepeatedPtrField<proto::SavedReload::Rejected>;

RejectedMoves load(const SavedRejections& saved) {
  RejectedMoves rejected;
  for (const auto& each : saved) rejected[each.reason()] = each.connections();
  return rejected;
}

Moves load(const proto::SavedReload::Moves& saved) {
  return {.moved = saved.moved(),
          .left = saved.left(),
          .cut = saved.cut(),
          .lost = saved.lost(),
          .rejected = load(saved.rejected())};
}

LastReload load(const proto::SavedReload& saved) {
  LastReload reload{
      .ok = saved.ok(),
      .rolled_back = saved.rolled_back(),
      .from = saved.from(),
      .to = saved.to(),
      .reason = saved.reason(),
      .phases = {},
      .before = {.rejected = load(saved.before().rejected()), .cut = saved.before().cut()},
      .moves = {}};
  for (const auto& phase : saved.phases()) reload.phases.push_back({phase.name(), phase.ms()});
  if (saved.has_moves()) reload.moves = load(saved.moves());
  return reload;
}

Loaded load_pairs(const proto::SavedState& saved, SupervisorState& state) {
  for (const proto::SavedPair& each : saved.pairs()) {
    if (each.id() == kNoPair || each.id() >= state.next_pair) return bad("a pair's number");
    if (auto done = load(each, state.pairs[each.id()]); !done) return done;
  }
  for (const PairId named : {state.good, state.previous}) {
    if (named != kNoPair && !state.pairs.contains(named)) return bad("a pair is missing");
  }
  return {};
}

Loaded load_generations(const proto::SavedState& saved, SupervisorState& state) {
  std::set<Role> unique;
  std::set<std::uint32_t> slots;
  for (const proto::SavedGeneration& each : saved.generations()) {
    GenerationRecord& record = state.generations[each.id()];
    if (record.id != 0 || each.id() == 0 || each.id() >= state.next_generation) {
      return bad("a generation's number");
    }
    if (auto done = load(each, record); !done) return done;
    drop_bad_times(record);
    const bool is_unique = record.role == Role::Candidate || record.role == Role::InCharge;
    if (is_unique && !unique.insert(record.role).second) return bad("two generations in charge");
    if (record.region_slot == region::kSupervisorSlot || record.region_slot >= region::kSlots ||
        !slots.insert(record.region_slot).second) {
      return bad("a generation's slot");
    }
    if (!state.pairs.contains(record.pair)) return bad("a generation without its pair");
  }
  for (const std::uint32_t slot : saved.orphaned_slots()) {
    if (slot == region::kSupervisorSlot || slot >= region::kSlots || !slots.insert(slot).second) {
      return bad("the slot of a generation that has ended");
    }
    state.orphaned_slots.push_back(slot);
  }
  return {};
}

Loaded load_escrow(const proto::SavedState& saved, SupervisorState& state) {
  for (const proto::SavedSocket& each : saved.escrow()) {
    if (!valid_index(each.has_fd(), each.fd())) return bad("a descriptor out of range");
    state.escrow.push_back({.key = SocketKey::from_message(each.key()),
                            .index = each.index(),
                            .fd = each.has_fd() ? each.fd() : kNoFd,
                            .added_by = each.added_by()});
    if (!each.has_file()) continue;
    state.escrow.back().file = {.device = each.file().device(), .inode = each.file().inode()};
  }
  if (!std::ranges::is_sorted(state.escrow, std::less())) return bad("the escrow is not in order");
  return {};
}

// One that makes no sense is left out: nothing serves less well for it.
void load_kept_metrics(const proto::SavedState& saved, SupervisorState& state) {
  for (const proto::SavedMetric& each : saved.kept_metrics()) {
    region::KeptMetric kept;
    kept.sample.description = {.name = each.name(),
                               .labels = each.labels(),
                               .help = each.help(),
                               .kind = static_cast<region::MetricKind>(each.kind()),
                               .unit = static_cast<region::MetricUnit>(each.unit())};
    kept.sample.cells.assign(each.cells().begin(), each.cells().end());
    for (const auto& user : each.users()) {
      if (user.slot() < region::kSlots) kept.users[user.slot()] = user.share();
    }
    const std::vector<std::int64_t> cells(kept.sample.cells.size());
    if (kept.users.empty() || !region::is_well_formed(kept.sample.description, cells)) continue;
    state.kept_metrics[region::full_name(kept.sample.description)] = std::move(kept);
  }
}

}  // namespace

std::expected<DecodedState, std::string> load_state(const proto::SavedState& saved) {
  DecodedState decoded;
  SupervisorState& state = decoded.state;
  state.started = saved.started();
  state.next_generation = saved.next_generation();
  state.next_pair = saved.next_pair();
  state.good = saved.good();
  state.previous = saved.previous();
  state.flags = load(saved.flags());
  state.reload_flags = load(saved.reload_flags());
  state.program = saved.program();
  if (saved.has_start_paths()) state.start_paths = load(saved.start_paths());
  if (saved.has_next_paths()) state.next_paths = load(saved.next_paths());
  if (saved.has_last_reload()) state.last_reload = load(saved.last_reload());
  state.note = saved.note();
  if (saved.has_region()) state.region_fd = saved.region();
  state.region_layout = saved.region_layout();
  state.log = {.level = saved.log_level(), .format = saved.log_format()};
  state.version = saved.version();
  for (const auto& stored : saved.stored()) {
    state.stored[stored.name()] = {.device = stored.device(), .inode = stored.inode()};
  }
  if (!valid_index(saved.has_memory(), saved.memory())) return bad("a descriptor out of range");
  if (saved.has_memory()) state.memory = saved.memory();
  for (const proto::SavedClient& client : saved.clients()) {
    state.clients.push_back({.fd = client.fd(),
                             .kind = static_cast<std::uint16_t>(client.kind()),
                             .request = client.request(),
                             .generation = client.generation()});
  }
  if (auto done = load(saved.life(), state.life); !done) return std::unexpected(done.error());
  if (auto done = load(saved.control(), state.control); !done) {
    return std::unexpected(done.error());
  }
  for (const auto load_part : {load_pairs, load_generations, load_escrow}) {
    if (auto done = load_part(saved, state); !done) return std::unexpected(done.error());
  }
  load_kept_metrics(saved, state);
  for (const auto& each : saved.descriptors()) {
    if (each.index() >= kMaxFds || each.number() < 0) return bad("a descriptor out of range");
    decoded.descriptors.emplace_back(each.index(), each.number());
  }
  return decoded;
}

}  // namespace baton::supervisor
