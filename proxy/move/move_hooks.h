// What tests hook into of connections on their way to the next generation: to kill one side at an
// exact point, and to play a release that knows fewer kinds.
//
// Thread: called on a worker's.
#pragma once

#include <functional>

#include "proto/move.pb.h"

namespace baton::proxy {

// Where a batch of connections is.
enum class MovePoint {
  Offered,    // old: sent to new
  Accepted,   // old: the verdicts are here, nothing is committed
  Committed,  // old: committed, and closed here
  Prepared,   // new: built, not answered
  Answered,   // new: answered, not committed
  Started,    // new: committed and running
};

// Each may be empty.
struct MoveHooks {
  std::function<void(MovePoint)> on_point = {};
  std::function<bool(proto::MoveKind)> knows_kind = {};  // empty: all there are

  void reached(MovePoint point) const {
    if (on_point) on_point(point);
  }
  bool knows(proto::MoveKind kind) const { return !knows_kind || knows_kind(kind); }
};

}  // namespace baton::proxy
