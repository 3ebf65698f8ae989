// What the supervisor shows of what is going on. supervisor.cc has what leads to it.

#include <algorithm>

#include "shared/os/duration.h"
#include "shared/os/format.h"
#include "supervisor/supervisor.h"

namespace baton::supervisor {

using lifecycle::Stage;

std::optional<ReloadProgress> Supervisor::reload_in_progress() const {
  if (!reload_) return std::nullopt;
  ReloadProgress progress = reload_->progress();
  if (lifecycle::rolls_back(state_.life.stage)) progress.phase = "roll back";
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

std::string Supervisor::note() const {
  std::string loop;
  const std::uint32_t crashes = state_.life.quick_crashes;
  if (state_.life.stage == Stage::BackingOff) {
    const std::chrono::duration<double> left(std::max(0.0, next_start_ - now()));
    loop = os::format("crash loop: {} quick crashes, the next start in {}", crashes,
                      os::format_duration(std::chrono::ceil<std::chrono::milliseconds>(left)));
  } else if (state_.life.stage == Stage::Recovering && lifecycle::back_off(crashes).count() != 0) {
    loop = os::format("crash loop: {} quick crashes, a fresh generation is starting", crashes);
  }
  if (loop.empty() || state_.note.empty()) return state_.note + loop;
  return state_.note + "; " + loop;
}

}  // namespace baton::supervisor
