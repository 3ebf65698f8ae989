#include "supervisor/drain_waiters.h"

#include "supervisor/reload_moves.h"

namespace baton::supervisor {
namespace {

constexpr double kTickSeconds = 0.02;
// For a generation to see that the one before it has died, and to go on in its place.
constexpr int kTicksToInherit = 10;
// For a generation to say that it has moved what it could: it takes a second at most when the next
// one does not answer. One that hangs, or is of a release that does not say so, is not waited for
// any longer.
constexpr int kTicksToMove = 100;

}  // namespace

DrainWaiters::DrainWaiters(ev::loop_ref loop, const SupervisorState& state,
                           const SupervisorRegion& region)
    : state_(state), region_(region), timer_(loop) {
  timer_.set<DrainWaiters, &DrainWaiters::tick>(this);
}

void DrainWaiters::add(std::uint64_t generation, ReloadReport report) {
  waiting_.insert_or_assign(generation, Waiting{.report = std::move(report)});
  if (!timer_.is_active()) timer_.start(0, kTickSeconds);
}

std::vector<WaitingClient> DrainWaiters::clients() const {
  std::vector<WaitingClient> clients;
  for (const auto& [generation, each] : waiting_) {
    if (const auto request = each.report.request()) {
      clients.push_back({.fd = request->channel_fd,
                         .kind = request->kind,
                         .request = request->id,
                         .generation = generation});
    }
  }
  return clients;
}

void DrainWaiters::offers(std::uint64_t generation) { offering_.insert(generation); }

void DrainWaiters::ended(const GenerationRecord& generation) {
  offering_.erase(generation.id);
  const auto found = waiting_.find(generation.id);
  if (found == waiting_.end()) return;
  Waiting& waiting = found->second;
  waiting.at_end = moves_of(waiting.report.record(), generation, true, state_, region_);
  waiting.ticks = 0;
  if (waiting.at_end->lost > 0 || !offering_.empty()) return;
  waiting.report.drained(*waiting.at_end);
  waiting_.erase(found);
  stop_if_idle();
}

void DrainWaiters::moved(std::uint64_t generation) {
  offering_.erase(generation);
  const auto found = waiting_.find(generation);
  if (found != waiting_.end()) found->second.moved = true;
}

void DrainWaiters::tick() {
  answer_if([](Waiting& waiting, const MoveCount& count, std::uint64_t total) {
    const bool seen_enough = waiting.report.drain_progress(count, total);
    return seen_enough && (waiting.moved || ++waiting.ticks > kTicksToMove);
  });
}

void DrainWaiters::answer_the_hasty() {
  answer_if([](Waiting& waiting, const MoveCount&, std::uint64_t) {
    return !waiting.report.waits_for_drain();
  });
}

template <class Predicate>
void DrainWaiters::answer_if(Predicate predicate) {
  for (auto next = waiting_.begin(); next != waiting_.end();) {
    const auto each = next++;
    Waiting& waiting = each->second;
    Moves moves;
    if (waiting.at_end) {
      ++waiting.ticks;
      const bool inherits = waiting.at_end->lost > 0 && waiting.ticks < kTicksToInherit;
      const bool others_offer = !offering_.empty() && waiting.ticks < kTicksToMove;
      if (inherits || others_offer) continue;
      moves = moves_later(std::move(*waiting.at_end), waiting.report.record(), state_, region_);
    } else {
      const auto found = state_.generations.find(each->first);
      if (found == state_.generations.end()) continue;
      const GenerationRecord& generation = found->second;
      if (!predicate(waiting, region_.moves(generation), generation.drain_total)) continue;
      moves = moves_of(waiting.report.record(), generation, false, state_, region_);
    }
    waiting.report.drained(moves);
    waiting_.erase(each);
  }
  stop_if_idle();
}

void DrainWaiters::stop_if_idle() {
  if (waiting_.empty()) timer_.stop();
}

}  // namespace baton::supervisor
