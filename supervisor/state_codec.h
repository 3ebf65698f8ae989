// The supervisor's state as bytes, for the supervisor that follows: in a memory file over an exec,
// in the runtime directory and the service manager's store for after a crash.
//
//   0  4  magic "BTNS"
//   4  4  version of the format: raised when older supervisors cannot make sense of it any more
//   8  8  sequence: of two, the higher one is the later
//  16  8  size of the body
//  24  8  checksum (FNV-1a) of sequence and body
//  32     body: SavedState, proto/state.proto
//
// All little-endian. Bytes come from outside: nothing in them can make this fail but by an error.
// Descriptors are not in here, only their indices and, for an exec, their numbers.
// Thread: any; pure functions.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "supervisor/state.h"

namespace baton::supervisor {

inline constexpr std::uint32_t kStateVersion = 1;
inline constexpr std::size_t kStateHeadBytes = 32;
inline constexpr std::size_t kMaxStateBytes = 64 * 1024 * 1024;

std::string encode_state(const SupervisorState& state, std::uint64_t sequence);

struct StateError {
  enum class Code : std::uint8_t {
    NoState,  // something else, or nothing at all
    Future,   // a later release has written it
    Corrupt,
  };
  Code code;
  std::string text;
};

struct DecodedState {
  SupervisorState state;  // its table of descriptors is empty
  std::uint64_t sequence = 0;
  // Where the table's descriptors were in the process that wrote this.
  std::vector<std::pair<FdIndex, int>> descriptors;
};

// How long what begins with this head is, head included; 0: it is no head.
std::size_t encoded_size(std::string_view head);

// Checked: sizes, the checksum, every enumerator, that what is referred to exists, and that no two
// generations are in charge. Bytes behind the end are ignored.
std::expected<DecodedState, StateError> decode_state(std::string_view bytes);

}  // namespace baton::supervisor
