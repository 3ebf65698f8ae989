#include "supervisor/service_status.h"

#include <algorithm>
#include <cmath>

#include "shared/os/duration.h"
#include "shared/os/format.h"

namespace baton::supervisor {
namespace {

std::string connections(std::uint64_t count) {
  return os::format("{} connection{}", count, count == 1 ? "" : "s");
}

struct Drain {
  std::size_t generations = 0;
  std::uint64_t connections = 0;
  double deadline = 0;  // the last one
};

std::string text_of(const Drain& drain, double now) {
  const std::chrono::seconds left(std::llround(std::max(0.0, drain.deadline - now)));
  return os::format("; {} draining, {}, cut in {}", drain.generations,
                    connections(drain.connections), os::format_duration(left));
}

}  // namespace

std::string service_status(const SupervisorState& state, const SupervisorRegion& region,
                           double now) {
  std::string in_charge = "no generation is in charge";
  std::string candidate;
  Drain drain;
  for (const auto& [id, generation] : state.generations) {
    switch (generation.role) {
      case Role::InCharge:
        in_charge = os::format("generation {} in charge, {}", id,
                               connections(region.connections(generation)));
        break;
      case Role::Candidate:
        candidate = os::format("; generation {} {}", id, doing(generation));
        break;
      case Role::Draining:
        ++drain.generations;
        drain.connections += region.connections(generation);
        drain.deadline = std::max(drain.deadline, generation.drain_deadline.value_or(0));
        break;
      case Role::Dying:
        break;
    }
  }
  const bool stopping = state.life.stage == lifecycle::Stage::Stopping;
  return (stopping ? "stopping" : in_charge) + candidate +
         (drain.generations == 0 ? "" : text_of(drain, now));
}

}  // namespace baton::supervisor
