#include "proto/frame.h"

namespace baton::proto {
namespace {

constexpr std::string_view kMagic = "BTN1";
constexpr std::uint16_t kKnownFlags = kReply | kPartial | kError | kInMemory;

template <class Unsigned>
void put(std::string& out, Unsigned value) {
  for (std::size_t i = 0; i < sizeof value; ++i) {
    out.push_back(static_cast<char>(static_cast<unsigned char>(value >> (8 * i))));
  }
}

template <class Unsigned>
Unsigned get(std::string_view bytes, std::size_t offset) {
  Unsigned value = 0;
  for (std::size_t i = 0; i < sizeof value; ++i) {
    const auto byte = static_cast<Unsigned>(static_cast<unsigned char>(bytes[offset + i]));
    value = static_cast<Unsigned>(value | static_cast<Unsigned>(byte << (8 * i)));
  }
  return value;
}

bool flags_fit(const Frame& frame) {
  if ((frame.flags & ~kKnownFlags) != 0) return false;
  if ((frame.flags & kInMemory) != 0 && (frame.fds == 0 || !frame.body.empty())) return false;
  const bool reply = (frame.flags & kReply) != 0;
  const bool partial = (frame.flags & kPartial) != 0;
  const bool error = (frame.flags & kError) != 0;
  if (!reply) return !partial && !error;
  return frame.id != 0 && !(partial && error);
}

}  // namespace

std::string encode_frame(const Frame& frame) {
  std::string out;
  out.reserve(kFrameHeadBytes + frame.body.size());
  out.append(kMagic);
  put(out, frame.kind);
  put(out, frame.flags);
  put(out, frame.id);
  put(out, frame.fds);
  out.append(frame.body);
  return out;
}

std::optional<Frame> decode_frame(std::string_view bytes) {
  if (bytes.size() < kFrameHeadBytes || !bytes.starts_with(kMagic)) return std::nullopt;
  const Frame frame{.kind = get<std::uint16_t>(bytes, 4),
                    .flags = get<std::uint16_t>(bytes, 6),
                    .id = get<std::uint32_t>(bytes, 8),
                    .fds = get<std::uint32_t>(bytes, 12),
                    .body = bytes.substr(kFrameHeadBytes)};
  if (!flags_fit(frame)) return std::nullopt;
  return frame;
}

}  // namespace baton::proto
