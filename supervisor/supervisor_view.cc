// What the supervisor shows of what is going on. supervisor.cc has what leads to it.
#include <algorithm>

#include "supervisor/supervisor.h"

namespace baton::supervisor {

using lifecycle::Stage;

std::optional<ReloadProgress> Supervisor::reload_in_progress() const {
  if (!reload_) return std::nullopt;
  ReloadProgress progress = reload_->progress();
  if (state_.life.stage == Stage::Restoring) progress.phase = "roll back";
  const GenerationProcess* candidate = generations_.candidate();
  if (candidate == nullptr) return progress;
  const Settings settings = settings_of(candidate->record().pair, reload_flags_);
  const auto left = [](std::chrono::milliseconds limit, double ms) {
    return std::max(0.0, static_cast<double>(limit.count()) - ms);
  };
  if (state_.life.stage == Stage::Probation) {
    progress.left_ms = left(settings.probation, progress.phase_ms);
  } else if (candidate->record().phase < Phase::Ready) {
    // The limit counts from the start of the process, which is the start of the reload.
    progress.left_ms = left(settings.start_timeout, progress.elapsed_ms);
  }
  return progress;
}

}  // namespace baton::supervisor
