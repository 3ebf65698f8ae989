#include "supervisor/reload_report.h"

#include <utility>

#include "supervisor/reload_moves.h"

namespace baton::supervisor {
namespace {

// Leaves room in a datagram for what goes with it.
constexpr std::size_t kMaxReasonBytes = 32 * 1024;

// DrainWaiters looks every 20 ms, and a generation looks as often again at what could not move.
constexpr int kStill = 2;

double ms_since(std::chrono::steady_clock::time_point begin) {
  const std::chrono::duration<double, std::milli> elapsed =
      std::chrono::steady_clock::now() - begin;
  return elapsed.count();
}

}  // namespace

ReloadReport::ReloadReport(std::optional<proto::Responder> client, proto::WaitFor wait,
                           std::uint64_t from, MoveTotals before)
    : client_(std::move(client)),
      wait_(wait),
      record_{.from = from, .before = std::move(before)},
      began_(std::chrono::steady_clock::now()),
      phase_began_(began_) {}

ReloadReport::ReloadReport(proto::Responder client, LastReload record)
    : client_(std::move(client)),
      wait_(proto::WAIT_DRAINED),
      record_(std::move(record)),
      began_(std::chrono::steady_clock::now()),
      phase_began_(began_) {}

std::optional<proto::Responder::Request> ReloadReport::request() const {
  return waits_for_drain() ? client_->request() : std::nullopt;
}

void ReloadReport::enter(std::string_view phase) {
  if (phase_ == phase) return;
  end_phase();
  phase_ = phase;
  phase_began_ = std::chrono::steady_clock::now();
  proto::Progress progress;
  progress.set_phase(phase_);
  send(progress);
}

void ReloadReport::end_phase() {
  if (phase_.empty()) return;
  const double ms = ms_since(phase_began_);
  send_time(ms);
  record_.phases.push_back({std::exchange(phase_, ""), ms});
}

void ReloadReport::send_time(double ms) const {
  proto::Progress progress;
  progress.set_phase(phase_);
  progress.set_ms(ms);
  send(progress);
}

void ReloadReport::set_reason(const std::string& reason) {
  if (record_.reason.empty()) record_.reason = reason.substr(0, kMaxReasonBytes);
}

void ReloadReport::serving() {
  if (wait_ != proto::WAIT_SERVING) return;
  record_.ok = true;
  // For who waits no more it is over; for `status` it goes on until the one before has paused.
  send_time(ms_since(phase_began_));
  answer();
}

void ReloadReport::committed() {
  end_phase();
  record_.ok = true;
  if (client_) enter(waits_for_drain() ? "drain" : "move");
}

void ReloadReport::failed(const std::string& aftermath) {
  // A phase that was cut short has no time of its own.
  phase_.clear();
  record_.ok = false;
  set_reason("the supervisor was told to stop");
  answer(aftermath);
}

bool ReloadReport::drain_progress(const MoveCount& count, std::uint64_t total) {
  still_ = count_ == count ? still_ + 1 : 0;
  if (still_ == 0) {
    count_ = count;
    proto::Progress progress;
    progress.set_phase(phase_);
    progress.set_connections_left(count.left);
    progress.set_connections_total(total);
    progress.set_connections_moved(count.moved);
    send(progress);
  }
  return !waits_for_drain() && still_ >= kStill;
}

void ReloadReport::drained(const Moves& moves) {
  record_.moves = moves;
  drained();
}

void ReloadReport::drained() {
  end_phase();
  answer();
}

void ReloadReport::send(const proto::Progress& progress) const {
  if (client_) client_->partial(progress);
}

void ReloadReport::answer(const std::string& aftermath) {
  if (!client_) return;
  proto::ReloadReply reply;
  reply.set_ok(record_.ok);
  reply.set_rolled_back(record_.rolled_back);
  reply.set_reason(record_.reason);
  reply.set_from(record_.from);
  reply.set_to(record_.to);
  if (record_.moves) fill(*reply.mutable_moves(), *record_.moves);
  reply.set_aftermath(aftermath);
  client_->reply(reply);
  client_.reset();
}

ReloadProgress ReloadReport::progress() const {
  return {.from = record_.from,
          .to = record_.to,
          .phase = phase_,
          .phase_ms = ms_since(phase_began_),
          .elapsed_ms = ms_since(began_)};
}

}  // namespace baton::supervisor
