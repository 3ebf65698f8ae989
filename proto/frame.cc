#include "proto/frame.h"

#include "shared/os/little_endian.h"

namespace baton::proto {
namespace {

constexpr std::string_view kMagic = "BTN1";
constexpr std::uint16_t kKnownFlags = kReply | kPartial | kError | kInMemory;

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
  os::append_little_endian(out, frame.kind);
  os::append_little_endian(out, frame.flags);
  os::append_little_endian(out, frame.id);
  os::append_little_endian(out, frame.fds);
  out.append(frame.body);
  return out;
}

std::optional<Frame> decode_frame(std::string_view bytes) {
  if (bytes.size() < kFrameHeadBytes || !bytes.starts_with(kMagic)) return std::nullopt;
  const Frame frame{.kind = os::little_endian_at<std::uint16_t>(bytes, 4),
                    .flags = os::little_endian_at<std::uint16_t>(bytes, 6),
                    .id = os::little_endian_at<std::uint32_t>(bytes, 8),
                    .fds = os::little_endian_at<std::uint32_t>(bytes, 12),
                    .body = bytes.substr(kFrameHeadBytes)};
  if (!flags_fit(frame)) return std::nullopt;
  return frame;
}

}  // namespace baton::proto
