// The state as a message.
#include "supervisor/saved_enums.h"
#include "supervisor/saved_state.h"

namespace baton::supervisor {
namespace {

template <class Set>
void save_index(FdIndex index, Set set) {
  if (index != kNoFd) set(index);
}

void save(const SettingsLayer& settings, proto::SavedSettings& saved) {
  const auto ms = [](std::chrono::milliseconds time) {
    return static_cast<std::uint64_t>(time.count());
  };
  if (settings.drain_time) saved.set_drain_time_ms(ms(*settings.drain_time));
  if (settings.drain_strategy) {
    saved.set_drain_strategy(to_saved(kSavedStrategies, *settings.drain_strategy));
  }
  if (settings.probation) saved.set_probation_ms(ms(*settings.probation));
  if (settings.start_timeout) saved.set_start_timeout_ms(ms(*settings.start_timeout));
  if (settings.max_draining) saved.set_max_draining(*settings.max_draining);
}

void save(const StartPaths& paths, proto::SavedPaths& saved) {
  saved.set_binary(paths.binary);
  saved.set_config(paths.config);
}

void save(const lifecycle::State& life, proto::SavedLife& saved) {
  saved.set_stage(to_saved(kSavedStages, life.stage));
  saved.set_quick_crashes(life.quick_crashes);
  saved.set_has_previous(life.has_previous);
  saved.set_fell_back(life.fell_back);
}

void save(const ControlSocket& control, proto::SavedControl& saved) {
  saved.set_path(control.path);
  save_index(control.lock, [&](FdIndex index) { saved.set_lock(index); });
  save_index(control.listener, [&](FdIndex index) { saved.set_listener(index); });
  saved.set_group(control.group);
  saved.set_made_directory(control.made_directory);
}

void save(PairId id, const Pair& pair, proto::SavedPair& saved) {
  saved.set_id(id);
  saved.set_binary_path(pair.binary_path);
  save_index(pair.binary, [&](FdIndex index) { saved.set_binary(index); });
  saved.set_config_path(pair.config_path);
  save_index(pair.config, [&](FdIndex index) { saved.set_config(index); });
  save(pair.settings, *saved.mutable_settings());
  for (const std::string& error : pair.settings_errors) saved.add_settings_errors(error);
  saved.set_generation(pair.generation);
  saved.set_version(pair.version);
  saved.set_crashes(pair.crashes);
}

void save(const GenerationRecord& generation, proto::SavedGeneration& saved) {
  saved.set_id(generation.id);
  saved.set_role(to_saved(kSavedRoles, generation.role));
  saved.set_phase(to_saved(kSavedPhases, generation.phase));
  saved.set_pid(generation.pid);
  saved.set_identity(generation.identity);
  save_index(generation.pidfd, [&](FdIndex index) { saved.set_pidfd(index); });
  if (generation.channel_fd >= 0) saved.set_channel(generation.channel_fd);
  saved.set_channel_requests(generation.channel_requests);
  saved.set_pair(generation.pair);
  saved.set_region_slot(generation.region_slot);
  saved.set_shares_region(generation.shares_region);
  saved.set_version(generation.version);
  for (const std::string& feature : generation.features) saved.add_features(feature);
  for (const SocketKey& key : generation.keys) key.to_message(*saved.add_keys());
  for (const std::string& listener : generation.listeners) saved.add_listeners(listener);
  saved.set_started(generation.started);
  if (generation.serving_since) saved.set_serving_since(*generation.serving_since);
  if (generation.draining_since) saved.set_draining_since(*generation.draining_since);
  if (generation.drain_deadline) saved.set_drain_deadline(*generation.drain_deadline);
  saved.set_drain_total(generation.drain_total);
  for (const auto& [cell, value] : generation.reported_gauges) {
    auto& gauge = *saved.add_reported_gauges();
    gauge.set_cell(cell);
    gauge.set_value(value);
  }
  saved.set_token(generation.token);
  if (generation.drain_strategy) {
    saved.set_drain_strategy(to_saved(kSavedStrategies, *generation.drain_strategy));
  }
  saved.set_last_call(generation.last_call);
}

void save(const EscrowEntry& entry, proto::SavedSocket& saved) {
  entry.key.to_message(*saved.mutable_key());
  saved.set_index(entry.index);
  save_index(entry.fd, [&](FdIndex index) { saved.set_fd(index); });
  saved.set_added_by(entry.added_by);
  if (!entry.file) return;
  saved.mutable_file()->set_device(entry.file->device);
  saved.mutable_file()->set_inode(entry.file->inode);
}

using SavedRejections = google::protobuf::RepeatedPtrField<proto::SavedReload::Rejected>;

void save(const RejectedMoves& rejected, SavedRejections& saved) {
  for (const auto& [reason, connections] : rejected) {
    proto::SavedReload::Rejected& each = *saved.Add();
    each.set_reason(reason);
    each.set_connections(connections);
  }
}

void save(const Moves& moves, proto::SavedReload::Moves& saved) {
  saved.set_moved(moves.moved);
  saved.set_left(moves.left);
  saved.set_cut(moves.cut);
  saved.set_lost(moves.lost);
  save(moves.rejected, *saved.mutable_rejected());
}

void save(const LastReload& reload, proto::SavedReload& saved) {
  saved.set_ok(reload.ok);
  saved.set_rolled_back(reload.rolled_back);
  saved.set_from(reload.from);
  saved.set_to(reload.to);
  saved.set_reason(reload.reason);
  for (const PhaseTime& phase : reload.phases) {
    auto& each = *saved.add_phases();
    each.set_name(phase.name);
    each.set_ms(phase.ms);
  }
  saved.mutable_before()->set_cut(reload.before.cut);
  save(reload.before.rejected, *saved.mutable_before()->mutable_rejected());
  if (reload.moves) save(*reload.moves, *saved.mutable_moves());
}

void save(const region::KeptMetric& kept, proto::SavedMetric& saved) {
  const region::MetricDescription& description = kept.sample.description;
  saved.set_name(description.name);
  saved.set_labels(description.labels);
  saved.set_help(description.help);
  saved.set_kind(static_cast<std::uint32_t>(description.kind));
  saved.set_unit(static_cast<std::uint32_t>(description.unit));
  for (const std::uint64_t cell : kept.sample.cells) saved.add_cells(cell);
  for (const auto& [slot, share] : kept.users) {
    auto& user = *saved.add_users();
    user.set_slot(slot);
    user.set_share(share);
  }
}

void save(const WaitingClient& client, proto::SavedClient& saved) {
  saved.set_fd(client.fd);
  saved.set_kind(client.kind);
  saved.set_request(client.request);
  saved.set_generation(client.generation);
}

}  // namespace

void save_state(const SupervisorState& state, proto::SavedState& saved) {
  saved.set_started(state.started);
  save(state.life, *saved.mutable_life());
  saved.set_next_generation(state.next_generation);
  saved.set_next_pair(state.next_pair);
  saved.set_good(state.good);
  saved.set_previous(state.previous);
  save(state.flags, *saved.mutable_flags());
  save(state.reload_flags, *saved.mutable_reload_flags());
  if (state.start_paths) save(*state.start_paths, *saved.mutable_start_paths());
  if (state.next_paths) save(*state.next_paths, *saved.mutable_next_paths());
  save(state.control, *saved.mutable_control());
  for (const auto& [id, pair] : state.pairs) save(id, pair, *saved.add_pairs());
  for (const auto& [id, each] : state.generations) save(each, *saved.add_generations());
  for (const EscrowEntry& entry : state.escrow) save(entry, *saved.add_escrow());
  for (const std::uint32_t slot : state.orphaned_slots) saved.add_orphaned_slots(slot);
  if (state.last_reload) save(*state.last_reload, *saved.mutable_last_reload());
  saved.set_note(state.note);
  if (state.region_fd >= 0) saved.set_region(state.region_fd);
  saved.set_region_layout(state.region_layout);
  state.fds.for_each([&saved](FdIndex index, int number) {
    auto& descriptor = *saved.add_descriptors();
    descriptor.set_index(index);
    descriptor.set_number(number);
  });
  saved.set_log_level(state.log.level);
  saved.set_log_format(state.log.format);
  for (const WaitingClient& client : state.clients) save(client, *saved.add_clients());
  saved.set_version(state.version);
  for (const auto& [name, file] : state.stored) {
    auto& stored = *saved.add_stored();
    stored.set_name(name);
    stored.set_device(file.device);
    stored.set_inode(file.inode);
  }
  saved.set_program(state.program);
  for (const auto& [name, kept] : state.kept_metrics) save(kept, *saved.add_kept_metrics());
  save_index(state.memory, [&](FdIndex index) { saved.set_memory(index); });
}

}  // namespace baton::supervisor
