// What has become of a generation's connections since its drain began. A plain value.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace baton::supervisor {

// Connections that the next generation did not take, by why.
using RejectedMoves = std::map<std::string, std::uint64_t>;

struct MoveCount {
  std::uint64_t moved = 0;
  std::uint64_t left = 0;

  friend bool operator==(const MoveCount&, const MoveCount&) = default;
};

}  // namespace baton::supervisor
