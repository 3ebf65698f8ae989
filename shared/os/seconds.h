// A duration as libev's timers want it.
// Thread: any.
#pragma once

#include <chrono>

namespace baton::os {

constexpr double seconds(std::chrono::duration<double> time) { return time.count(); }

}  // namespace baton::os
