#include "supervisor/drain_waiters.h"

#include <algorithm>

#include "supervisor/reload_moves.h"

namespace baton::supervisor {
namespace {

constexpr double kTickSeconds = 0.02;
// For a generation to see that the one before it has died, and to go on in its place.
constexpr int kTicksToInherit = 10;
// For a generation to say that it has moved what it could: it takes a second at most when the next
// one does not answer. One that hangs, or is of a release that does not say so, is not waited for
// any longer.
constexpr double kSecondsToMove = 2;
constexpr int kTicksToMove = static_cast<int>(kSecondsToMove / kTickSeconds);

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

void DrainWaiters::offers(std::uint64_t generation) {
  offering_[generation] = timer_.loop.now() + kSecondsToMove;
}

bool DrainWaiters::others_offer() const {
  const ev::tstamp now = timer_.loop.now();
  return std::ranges::any_of(offering_, [now](const auto& each) { return now < each.second; });
}

void DrainWaiters::ended(const GenerationRecord& generation) {
  offering_.erase(generation.id);
  const auto found = waiting_.find(generation.id);
  if (found == waiting_.end()) return;
  Waiting& waiting = found->second;
  waiting.at_end = moves_of(waiting.report.record(), generation, true, state_, region_);
  waiting.ticks = 0;
  if (waiting.at_end->lost > 0 || others_offer()) return;
  waiting.report.drained(*waiting.at_end);
  waiting_.erase(found);
  stop_if_idle();
}

void DrainWaiters::moved(std::uint64_t generation) {
  offering_.erase(generation);
  const auto found = waiting_.find(generation);
  if (found != waiting_.end()) found->second.moved = true;
}

bool DrainWaiters::is_ready(Waiting& waiting, const GenerationRecord* draining) const {
  if (draining == nullptr) {
    const bool inherits = waiting.at_end->lost > 0 && ++waiting.ticks < kTicksToInherit;
    return !inherits && !others_offer();
  }
  const bool seen_enough =
      waiting.report.drain_progress(region_.moves(*draining), draining->drain_total);
  return seen_enough && (waiting.moved || ++waiting.ticks > kTicksToMove);
}

void DrainWaiters::tick() {
  answer_if([this](Waiting& waiting, const GenerationRecord* draining) {
    return is_ready(waiting, draining);
  });
}

void DrainWaiters::answer_the_hasty() {
  answer_if(
      [](Waiting& waiting, const GenerationRecord*) { return !waiting.report.waits_for_drain(); });
}

void DrainWaiters::answer_the_rest() {
  answer_if([](Waiting&, const GenerationRecord* draining) { return draining == nullptr; });
}

template <class Predicate>
void DrainWaiters::answer_if(Predicate predicate) {
  for (auto next = waiting_.begin(); next != waiting_.end();) {
    const auto each = next++;
    Waiting& waiting = each->second;
    const GenerationRecord* draining = nullptr;
    if (!waiting.at_end) {
      const auto found = state_.generations.find(each->first);
      if (found == state_.generations.end()) continue;
      draining = &found->second;
    }
    if (!predicate(waiting, draining)) continue;
    const LastReload& record = waiting.report.record();
    waiting.report.drained(draining != nullptr
                               ? moves_of(record, *draining, false, state_, region_)
                               : moves_later(*waiting.at_end, record, state_, region_));
    waiting_.erase(each);
  }
  stop_if_idle();
}

void DrainWaiters::stop_if_idle() {
  if (waiting_.empty()) timer_.stop();
}

}  // namespace baton::supervisor
