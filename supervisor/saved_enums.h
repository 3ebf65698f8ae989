// Enumerators of the state and their numbers in the schema, which never change.
// Thread: any; pure.
#pragma once

#include <optional>
#include <utility>

#include "proto/state.pb.h"
#include "supervisor/state.h"

namespace baton::supervisor {

inline constexpr std::pair<lifecycle::Stage, proto::SavedLife::Stage> kSavedStages[] = {
    {lifecycle::Stage::Idle, proto::SavedLife::IDLE},
    {lifecycle::Stage::Starting, proto::SavedLife::STARTING},
    {lifecycle::Stage::Serving, proto::SavedLife::SERVING},
    {lifecycle::Stage::Preparing, proto::SavedLife::PREPARING},
    {lifecycle::Stage::PreparingAlone, proto::SavedLife::PREPARING_ALONE},
    {lifecycle::Stage::Switching, proto::SavedLife::SWITCHING},
    {lifecycle::Stage::Pausing, proto::SavedLife::PAUSING},
    {lifecycle::Stage::Probation, proto::SavedLife::PROBATION},
    {lifecycle::Stage::RollingBack, proto::SavedLife::ROLLING_BACK},
    {lifecycle::Stage::Retiring, proto::SavedLife::RETIRING},
    {lifecycle::Stage::Restoring, proto::SavedLife::RESTORING},
    {lifecycle::Stage::Recovering, proto::SavedLife::RECOVERING},
    {lifecycle::Stage::BackingOff, proto::SavedLife::BACKING_OFF},
    {lifecycle::Stage::Stopping, proto::SavedLife::STOPPING},
    {lifecycle::Stage::Stopped, proto::SavedLife::STOPPED},
};
static_assert(std::size(kSavedStages) == lifecycle::kStages);

inline constexpr std::pair<Role, proto::SavedGeneration::Role> kSavedRoles[] = {
    {Role::Candidate, proto::SavedGeneration::CANDIDATE},
    {Role::InCharge, proto::SavedGeneration::IN_CHARGE},
    {Role::Draining, proto::SavedGeneration::DRAINING},
    {Role::Dying, proto::SavedGeneration::DYING},
};

inline constexpr std::pair<Phase, proto::SavedGeneration::Phase> kSavedPhases[] = {
    {Phase::Starting, proto::SavedGeneration::STARTING},
    {Phase::Negotiating, proto::SavedGeneration::NEGOTIATING},
    {Phase::Inheriting, proto::SavedGeneration::INHERITING},
    {Phase::Warming, proto::SavedGeneration::WARMING},
    {Phase::Ready, proto::SavedGeneration::READY},
    {Phase::Serving, proto::SavedGeneration::SERVING},
    {Phase::Paused, proto::SavedGeneration::PAUSED},
    {Phase::Draining, proto::SavedGeneration::DRAIN},
};

inline constexpr std::pair<DrainStrategy, proto::DrainStrategy> kSavedStrategies[] = {
    {DrainStrategy::Gradual, proto::GRADUAL},
    {DrainStrategy::Immediate, proto::IMMEDIATE},
};

template <class Ours, class Saved, std::size_t N>
constexpr Saved to_saved(const std::pair<Ours, Saved> (&table)[N], Ours value) {
  for (const auto& [ours, saved] : table) {
    if (ours == value) return saved;
  }
  return table[0].second;
}

// Nothing: no enumerator of this release.
template <class Ours, class Saved, std::size_t N>
constexpr std::optional<Ours> from_saved(const std::pair<Ours, Saved> (&table)[N], Saved value) {
  for (const auto& [ours, saved] : table) {
    if (saved == value) return ours;
  }
  return std::nullopt;
}

}  // namespace baton::supervisor
