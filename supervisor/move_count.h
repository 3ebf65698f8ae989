// What has become of a generation's connections since its drain began. Plain values.
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

// Counters of all generations, ever.
struct MoveTotals {
  RejectedMoves rejected;
  std::uint64_t cut = 0;  // at a drain deadline

  friend bool operator==(const MoveTotals&, const MoveTotals&) = default;
};

// Of one reload, from its commit on.
struct Moves {
  std::uint64_t moved = 0;
  std::uint64_t left = 0;  // in all generations that drain
  std::uint64_t cut = 0;
  std::uint64_t lost = 0;  // held by a process that died
  RejectedMoves rejected;

  friend bool operator==(const Moves&, const Moves&) = default;
};

}  // namespace baton::supervisor
