// What the supervisor shows of what is going on. supervisor.cc has what leads to it.
#include <algorithm>

#include "supervisor/supervisor.h"

namespace baton::supervisor {

using lifecycle::Stage;

std::optional<ReloadProgress> Supervisor::reload_in_progress() const {
  if (!reload_) return std::nullopt;
  ReloadProgress progress = reload_->progress();
  if (state_.life.stage == Stage::Restoring) progress.phase = "roll back";
  GenerationProcess* candidate = generations_.candidate();
  if (candidate == nullptr) return progress;
  if (state_.life.stage == Stage::Probation) {
    const Settings settings = settings_of(candidate->record().pair, state_.reload_flags);
    progress.left_ms =
        std::max(0.0, static_cast<double>(settings.probation.count()) - progress.phase_ms);
  } else if (const auto left = candidate->start_time_left()) {
    progress.left_ms = static_cast<double>(left->count());
  }
  return progress;
}

}  // namespace baton::supervisor
