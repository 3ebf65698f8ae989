#include "proxy/move/move_counters.h"

#include "shared/region/sample.h"

namespace baton::proxy {
namespace {

const char* name_of(int reason) {
  switch (reason) {
    case proto::MOVE_NO_LISTENER:
      return "no_listener";
    case proto::MOVE_UNKNOWN_KIND:
      return "unknown_kind";
    case proto::MOVE_NO_DESCRIPTORS:
      return "no_descriptors";
    case proto::MOVE_NO_CLUSTER:
      return "no_cluster";
    case proto::MOVE_DUPLICATE:
      return "duplicate";
    case proto::MOVE_NOT_WANTED:
      return "not_wanted";
    default:
      return "malformed";
  }
}

}  // namespace

MoveCounters::MoveCounters(StatsStore& store, StatsLane& lane) : store_(store) {
  using region::MetricKind;
  const auto counter = [&](const char* name, const char* help, const std::string& labels = "") {
    return lane.counter(
        store.resolve({.name = name, .labels = labels, .help = help, .kind = MetricKind::Counter}));
  };
  moved_total_ = counter("baton_connections_moved_total",
                         "Established connections taken over from the generation before.");
  upstreams_moved_total_ = counter("baton_upstream_connections_moved_total",
                                   "Idle connections to endpoints handed to the next generation.");
  returned_total_ =
      counter("baton_connections_move_returned_total",
              "Connections offered to the next generation, which died or did not answer.");
  for (std::size_t reason = 0; reason < kReasons; ++reason) {
    rejected_total_[reason] =
        counter("baton_connections_move_rejected_total",
                "Connections that the next generation did not take: they drain.",
                region::label("reason", name_of(static_cast<int>(reason))));
  }
}

void MoveCounters::moved_in(std::uint64_t connections) {
  moved_total_.add(connections);
  store_.count_moved_in(connections);
}

void MoveCounters::rejected(proto::MoveVerdict reason) {
  const auto index = static_cast<std::size_t>(reason);
  constexpr auto kUnknown = static_cast<std::size_t>(proto::MOVE_MALFORMED);
  rejected_total_[index < kReasons ? index : kUnknown].add();
}

}  // namespace baton::proxy
