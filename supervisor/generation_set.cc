#include "supervisor/generation_set.h"

#include <set>
#include <utility>

#include "shared/os/seconds.h"
#include "supervisor/open_pair.h"

namespace baton::supervisor {

os::Result<GenerationProcess*> GenerationSet::spawn(PairId pair, const SpawnSettings& settings) {
  const std::uint64_t id = state_.next_generation++;
  GenerationRecord& record = state_.generations[id];
  state_.touch();
  record.id = id;
  record.pair = pair;
  record.started = now();
  if (const auto claimed = region_.claim_slot(record); !claimed) {
    state_.generations.erase(id);
    return std::unexpected(claimed.error());
  }
  auto process = GenerationProcess::spawn(loop_, state_, record, observer_, settings);
  if (!process) {
    forget_metrics(record.region_slot);
    state_.generations.erase(id);
    return std::unexpected(process.error());
  }
  services_.serve((*process)->channel(), record);
  region_.publish(record);
  return (processes_[id] = std::move(*process)).get();
}

void GenerationSet::adopt(GenerationRecord& record, os::UniqueFd channel) {
  auto process = GenerationProcess::adopt(loop_, state_, record, observer_, std::move(channel));
  services_.serve(process->channel(), record);
  region_.publish(record);
  processes_[record.id] = std::move(process);
}

GenerationProcess* GenerationSet::of(Role role) const {
  for (const auto& [id, process] : processes_) {
    if (process->record().role == role) return process.get();
  }
  return nullptr;
}

GenerationProcess* GenerationSet::with_pid(pid_t pid) const {
  for (const auto& [id, process] : processes_) {
    if (process->record().pid == pid && process->record().pidfd != kNoFd) return process.get();
  }
  return nullptr;
}

GenerationProcess* GenerationSet::with_id(std::uint64_t id) const {
  const auto found = processes_.find(id);
  return found == processes_.end() ? nullptr : found->second.get();
}

std::vector<GenerationProcess*> GenerationSet::draining() const {
  std::vector<GenerationProcess*> found;
  for (const auto& [id, process] : processes_) {
    if (process->record().role == Role::Draining) found.push_back(process.get());
  }
  return found;
}

std::vector<GenerationProcess*> GenerationSet::all() const {
  std::vector<GenerationProcess*> found;
  for (const auto& [id, process] : processes_) found.push_back(process.get());
  return found;
}

void GenerationSet::set_phase(GenerationProcess& generation, Phase phase) {
  generation.record().phase = phase;
  state_.touch();
  region_.publish(generation.record());
}

void GenerationSet::set_role(GenerationProcess& generation, Role role) {
  generation.record().role = role;
  state_.touch();
  region_.publish(generation.record());
}

void GenerationSet::drain(GenerationProcess& generation, std::chrono::milliseconds time,
                          DrainStrategy strategy, std::span<const SocketKey> kept) {
  GenerationRecord& record = generation.record();
  if (!record.draining_since) {
    record.draining_since = now();
    record.drain_total = region_.connections(record);
  }
  record.drain_deadline = now() + os::seconds(time);
  record.drain_strategy = strategy;
  record.role = Role::Draining;
  record.phase = Phase::Draining;
  state_.touch();
  region_.publish(record);
  generation.drain(time, strategy, kept);
}

void GenerationSet::kill(GenerationProcess& generation) {
  set_role(generation, Role::Dying);
  generation.kill();
}

void GenerationSet::remove(GenerationProcess& generation, Metrics metrics) {
  const std::uint64_t id = generation.record().id;
  processes_.erase(id);
  bury(id, metrics);
}

void GenerationSet::bury(std::uint64_t id, Metrics metrics) {
  GenerationRecord& record = state_.generations.at(id);
  record.role = Role::Dying;
  region_.publish(record);
  region_.reclaim(record);
  services_.ended(record);
  if (metrics == Metrics::KeepForReplacement) {
    state_.orphaned_slots.push_back(record.region_slot);
  } else {
    forget_metrics(record.region_slot);
  }
  state_.generations.erase(id);
  state_.touch();
}

// What fails, because whoever holds a lock of the region is stopped, is tried again with the
// orphans.
void GenerationSet::forget_metrics(std::uint32_t slot) {
  if (!region_.forget(slot)) state_.orphaned_slots.push_back(slot);
}

void GenerationSet::forget_orphans() {
  for (const std::uint32_t slot : std::exchange(state_.orphaned_slots, {})) forget_metrics(slot);
  state_.touch();
}

void GenerationSet::drop_unused_pairs() {
  std::set<PairId> used{state_.good, state_.previous};
  for (const auto& [id, generation] : state_.generations) used.insert(generation.pair);
  for (auto pair = state_.pairs.begin(); pair != state_.pairs.end();) {
    if (used.contains(pair->first)) {
      ++pair;
      continue;
    }
    close_pair(state_.fds, pair->second);
    pair = state_.pairs.erase(pair);
    state_.touch();
  }
}

}  // namespace baton::supervisor
