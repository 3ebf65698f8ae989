#include "supervisor/drain_waiters.h"

namespace baton::supervisor {
namespace {

constexpr double kTickSeconds = 0.02;

}  // namespace

DrainWaiters::DrainWaiters(ev::loop_ref loop, const SupervisorState& state,
                           const SupervisorRegion& region)
    : state_(state), region_(region), timer_(loop) {
  timer_.set<DrainWaiters, &DrainWaiters::tick>(this);
}

void DrainWaiters::add(std::uint64_t generation, ReloadReport report) {
  waiting_.insert_or_assign(generation, std::move(report));
  if (!timer_.is_active()) timer_.start(0, kTickSeconds);
}

std::vector<WaitingClient> DrainWaiters::clients() const {
  std::vector<WaitingClient> clients;
  for (const auto& [generation, report] : waiting_) {
    if (const auto request = report.request()) {
      clients.push_back({.fd = request->channel_fd,
                         .kind = request->kind,
                         .request = request->id,
                         .generation = generation});
    }
  }
  return clients;
}

void DrainWaiters::ended(const GenerationRecord& generation) {
  auto found = waiting_.extract(generation.id);
  if (found.empty()) return;
  found.mapped().drained({.moved = region_.moved_out(generation)}, region_.rejected_moves());
  stop_if_idle();
}

void DrainWaiters::tick() {
  answer_if([](ReloadReport& report, const MoveCount& count, std::uint64_t total) {
    return report.drain_progress(count, total);
  });
}

void DrainWaiters::answer_the_hasty() {
  answer_if([](ReloadReport& report, const MoveCount&, std::uint64_t) {
    return !report.waits_for_drain();
  });
}

template <class Predicate>
void DrainWaiters::answer_if(Predicate predicate) {
  for (auto next = waiting_.begin(); next != waiting_.end();) {
    const auto each = next++;
    const auto found = state_.generations.find(each->first);
    if (found == state_.generations.end()) continue;
    const MoveCount count = region_.moves(found->second);
    if (!predicate(each->second, count, found->second.drain_total)) continue;
    each->second.drained(count, region_.rejected_moves());
    waiting_.erase(each);
  }
  stop_if_idle();
}

void DrainWaiters::stop_if_idle() {
  if (waiting_.empty()) timer_.stop();
}

}  // namespace baton::supervisor
