#include "supervisor/drain_waiters.h"

namespace baton::supervisor {
namespace {

constexpr double kTickSeconds = 0.1;

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

void DrainWaiters::ended(std::uint64_t generation) {
  if (auto found = waiting_.extract(generation)) found.mapped().drained();
  if (waiting_.empty()) timer_.stop();
}

void DrainWaiters::tick() {
  for (auto& [id, report] : waiting_) {
    const auto found = state_.generations.find(id);
    if (found == state_.generations.end()) continue;
    const GenerationRecord& generation = found->second;
    report.drain_progress(region_.connections(generation), generation.drain_total);
  }
}

}  // namespace baton::supervisor
