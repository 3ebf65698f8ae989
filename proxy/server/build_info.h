// What distinguishes one proxy binary from another. main.cc states the real one; tests build
// binaries with others to play the next release, or a much older one.
// Thread: any; constant.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/move/move_hooks.h"

namespace baton::proxy {

// Points in a generation's start that an observer can hook into. Bound: it has every socket, and
// has not told the supervisor of its own yet.
enum class StartPoint { Start, Negotiated, Bound, Inherited, Warmed, Ready, Serving };

struct BuildInfo {
  std::string version;
  std::uint64_t region_layout = 0;
  std::vector<std::string> features;  // proto/negotiation.h
  // Called on the main thread on reaching each point, after the supervisor has been told, if it is.
  std::function<void(StartPoint, std::uint64_t generation)> reached = [](StartPoint,
                                                                         std::uint64_t) {};
  // For the workers of a generation of that number; may be empty.
  std::function<MoveHooks(std::uint64_t generation)> move_hooks = {};
};

}  // namespace baton::proxy
