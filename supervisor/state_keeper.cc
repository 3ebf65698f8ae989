#include "supervisor/state_keeper.h"

#include <unistd.h>

#include "shared/os/log.h"
#include "shared/os/seconds.h"
#include "supervisor/notify.h"
#include "supervisor/state_codec.h"
#include "supervisor/state_file.h"
#include "supervisor/stored_names.h"

namespace baton::supervisor {

StateKeeper::StateKeeper(ev::loop_ref loop, SupervisorState& state)
    : state_(state),
      path_(state_file_path(state.control.path)),
      store_(loop, state),
      before_waiting_(loop),
      retry_(loop) {
  if (state_.memory == kNoFd && has_service_manager()) {
    if (auto memory = create_state_memory()) state_.memory = state_.fds.add(std::move(*memory));
  }
  if (state_.memory != kNoFd) memory_.emplace(state_.fds.get(state_.memory));
  before_waiting_.set<StateKeeper, &StateKeeper::on_loop_waits>(this);
  before_waiting_.start();
  retry_.set<StateKeeper, &StateKeeper::on_retry>(this);
}

void StateKeeper::on_loop_waits() {
  // At its end the control socket's directory is tidied up; nothing is to be found there then.
  if (state_.revision == tried_ || state_.life.stage == lifecycle::Stage::Stopped) return;
  write_down();
}

void StateKeeper::write_down() {
  tried_ = state_.revision;
  write(encode_state(state_, state_.revision));
  store_.sync_soon();
}

void StateKeeper::keep() {
  store_.sync_now();
  tried_ = state_.revision;
  write(encode_state(state_, state_.revision));
}

void StateKeeper::forget() {
  store_.clear();
  if (is_taken_over(state_.fds, state_.control)) return;
  ::unlink(unusable_state_path(path_).c_str());
  // As long as that was there, release_control_socket() could not.
  const std::string& made = state_.control.made_directory;
  if (!made.empty()) ::rmdir(made.c_str());
}

void StateKeeper::put_back() {
  auto before = decode_state(state_.adopted);
  if (!before) return;
  const auto keep = [&](FdIndex& index) {
    const auto then = before->state.stored.find(stored_name(index));
    const auto now = state_.stored.find(stored_name(index));
    const bool same = then != before->state.stored.end() && now != state_.stored.end() &&
                      then->second == now->second;
    if (!same) index = kNoFd;
  };
  for (auto& [id, pair] : before->state.pairs) {
    keep(pair.binary);
    keep(pair.config);
  }
  for (EscrowEntry& entry : before->state.escrow) keep(entry.fd);
  state_.touch();  // later than what this one has written down of itself
  write(encode_state(before->state, state_.revision));
}

// The loop waits again behind this.
void StateKeeper::on_retry() { tried_ = 0; }

// Either is enough: of two, the next supervisor takes the later one.
void StateKeeper::write(const std::string& bytes) {
  const auto written = write_file(bytes);
  const bool in_memory = memory_ && memory_->write(bytes);
  if (!written && !failed_ && in_memory) {
    log::warning(
        "should the supervisor be killed, the next one can go on only if the service manager "
        "starts "
        "it: {}",
        written.error().text());
  } else if (!written && !failed_) {
    log::warning(
        "should the supervisor be killed, the next one cannot go on with its generations: {}",
        written.error().text());
  }
  if (written && failed_) log::info("the state is written down again");
  failed_ = !written;
  retry_.stop();
  if (failed_) retry_.start(os::seconds(kRetry));
}

os::Result<void> StateKeeper::write_file(const std::string& bytes) const {
  if (is_taken_over(state_.fds, state_.control)) {
    return os::plain_error("another supervisor has taken over", state_.control.path);
  }
  return write_state_file(path_, bytes);
}

}  // namespace baton::supervisor
