// Where a batch of connections is on its way to the next generation: what tests hook into, to kill
// one side exactly there.
// Thread: called on a worker's.
#pragma once

#include <functional>

namespace baton::proxy {

enum class MovePoint {
  Offered,    // old: sent to new
  Accepted,   // old: the verdicts are here, nothing is committed
  Committed,  // old: committed, and closed here
  Prepared,   // new: built, not answered
  Answered,   // new: answered, not committed
  Started,    // new: committed and running
};

// May be empty.
using MoveObserver = std::function<void(MovePoint)>;

}  // namespace baton::proxy
