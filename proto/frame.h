// The head of every datagram of the three protocols, and its encoding.
//
//   0  magic   "BTN1"                little-endian throughout
//   4  kind    u16   the schema's enumeration (ControlKind, GenerationKind, SuccessionKind)
//   6  flags   u16   see Flag
//   8  id      u32   request number, chosen by the asking side; 0 in an event
//  12  fds     u32   how many descriptors travel with the datagram
//  16  body          a protobuf message, or nothing with kInMemory
//
// Thread: any; pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace baton::proto {

inline constexpr std::size_t kFrameHeadBytes = 16;

enum Flag : std::uint16_t {
  kReply = 1,     // answers the request with this id
  kPartial = 2,   // with kReply: more replies to the same request follow
  kError = 4,     // with kReply: the body is an ErrorReply
  kInMemory = 8,  // the body is in the last descriptor, a sealed memfd: it exceeds a datagram
};

struct Frame {
  std::uint16_t kind = 0;
  std::uint16_t flags = 0;
  std::uint32_t id = 0;
  std::uint32_t fds = 0;
  std::string_view body;
};

std::string encode_frame(const Frame& frame);
// Nothing: too short, wrong magic, unknown flags, an error or partial that is no reply, both at
// once (an error is final), a reply without id, or a body in memory and here or without descriptor.
std::optional<Frame> decode_frame(std::string_view bytes);

}  // namespace baton::proto
