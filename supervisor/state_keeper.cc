#include "supervisor/state_keeper.h"

#include "shared/os/log.h"
#include "supervisor/state_codec.h"
#include "supervisor/state_file.h"

namespace baton::supervisor {

StateKeeper::StateKeeper(ev::loop_ref loop, const SupervisorState& state)
    : state_(state), path_(state_file_path(state.control.path)), before_waiting_(loop) {
  before_waiting_.set<StateKeeper, &StateKeeper::on_loop_waits>(this);
  before_waiting_.start();
}

void StateKeeper::on_loop_waits() {
  // At its end the control socket's directory is tidied up; nothing is to be found there then.
  if (state_.revision == kept_ || state_.life.stage == lifecycle::Stage::Stopped) return;
  kept_ = state_.revision;
  const auto written = write_state_file(path_, encode_state(state_, state_.revision));
  if (!written && !failed_) {
    log::warning(
        "should the supervisor be killed, the next one cannot go on with its generations: {}",
        written.error().text());
  }
  failed_ = !written;
}

}  // namespace baton::supervisor
