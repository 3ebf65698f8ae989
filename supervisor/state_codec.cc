#include "supervisor/state_codec.h"

#include <cstring>

#include "shared/os/little_endian.h"
#include "supervisor/saved_state.h"

namespace baton::supervisor {
namespace {

constexpr std::string_view kMagic = "BTNS";

std::uint64_t checksum(std::uint64_t sequence, std::string_view body) {
  constexpr std::uint64_t kPrime = 0x100000001b3;
  std::uint64_t hash = 0xcbf29ce484222325;
  for (int i = 0; i < 8; ++i) hash = (hash ^ (sequence >> (8 * i) & 0xff)) * kPrime;
  for (const char byte : body) hash = (hash ^ static_cast<unsigned char>(byte)) * kPrime;
  return hash;
}

}  // namespace

std::string encode_state(const SupervisorState& state, std::uint64_t sequence) {
  proto::SavedState saved;
  save_state(state, saved);
  const std::string body = saved.SerializeAsString();
  std::string bytes(kMagic);
  os::append_little_endian(bytes, kStateVersion);
  os::append_little_endian(bytes, sequence);
  os::append_little_endian(bytes, std::uint64_t{body.size()});
  os::append_little_endian(bytes, checksum(sequence, body));
  return bytes + body;
}

std::size_t encoded_size(std::string_view head) {
  if (head.size() < kStateHeadBytes || !head.starts_with(kMagic)) return 0;
  const auto size = os::little_endian_at<std::uint64_t>(head, 16);
  return size > kMaxStateBytes - kStateHeadBytes ? 0 : kStateHeadBytes + size;
}

std::expected<DecodedState, StateError> decode_state(std::string_view bytes) {
  using Code = StateError::Code;
  const auto error = [](Code code, std::string text) {
    return std::unexpected(StateError{code, std::move(text)});
  };
  if (bytes.size() < kStateHeadBytes || !bytes.starts_with(kMagic)) {
    return error(Code::NoState, "not a supervisor's state");
  }
  const auto version = os::little_endian_at<std::uint32_t>(bytes, 4);
  if (version > kStateVersion) {
    return error(Code::Future, "a later release has written the state: it has format " +
                                   std::to_string(version) + ", this program knows up to " +
                                   std::to_string(kStateVersion));
  }
  const auto sequence = os::little_endian_at<std::uint64_t>(bytes, 8);
  const auto size = os::little_endian_at<std::uint64_t>(bytes, 16);
  if (version == 0 || size > bytes.size() - kStateHeadBytes) {
    return error(Code::Corrupt, "the state is damaged: it is cut off");
  }
  const std::string_view body = bytes.substr(kStateHeadBytes, size);
  proto::SavedState saved;
  if (checksum(sequence, body) != os::little_endian_at<std::uint64_t>(bytes, 24) ||
      !saved.ParseFromArray(body.data(), static_cast<int>(body.size()))) {
    return error(Code::Corrupt, "the state is damaged: its checksum is wrong");
  }
  auto decoded = load_state(saved);
  if (!decoded) return error(Code::Corrupt, "the state is damaged: " + decoded.error());
  decoded->sequence = sequence;
  decoded->state.revision = sequence;
  return std::move(*decoded);
}

}  // namespace baton::supervisor
