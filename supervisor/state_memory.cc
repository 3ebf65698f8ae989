#include "supervisor/state_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

namespace baton::supervisor {
namespace {

constexpr int kPlaces = 2;

off_t offset_of(int place) {
  return static_cast<off_t>(place) * static_cast<off_t>(kMaxStateBytes);
}

std::string read_at(int fd, off_t offset, std::size_t size) {
  std::string bytes(size, '\0');
  std::size_t used = 0;
  while (used < size) {
    const ssize_t count =
        ::pread(fd, bytes.data() + used, size - used, offset + static_cast<off_t>(used));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    used += static_cast<std::size_t>(count);
  }
  bytes.resize(used);
  return bytes;
}

std::expected<DecodedState, StateError> read_place(int fd, int place) {
  const std::string head = read_at(fd, offset_of(place), kStateHeadBytes);
  const std::size_t size = encoded_size(head);
  return decode_state(size == 0 ? head : read_at(fd, offset_of(place), size));
}

}  // namespace

os::Result<os::UniqueFd> create_state_memory() {
  os::UniqueFd fd(::memfd_create("baton-state", MFD_CLOEXEC));
  if (!fd) return os::errno_error("memfd_create", "baton-state");
  return fd;
}

StateMemory::StateMemory(int fd) : fd_(fd) {
  std::uint64_t latest = 0;
  for (int place = 0; place < kPlaces; ++place) {
    const auto state = read_place(fd, place);
    if (!state || state->sequence < latest) continue;
    latest = state->sequence;
    next_ = (place + 1) % kPlaces;
  }
}

os::Result<void> StateMemory::write(std::string_view bytes) {
  if (bytes.size() > kMaxStateBytes) return os::plain_error("the state is too large");
  off_t offset = offset_of(next_);
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(fd_, bytes.data(), bytes.size(), offset);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return os::errno_error("write", "the state's memory");
    bytes.remove_prefix(static_cast<std::size_t>(count));
    offset += count;
  }
  next_ = (next_ + 1) % kPlaces;
  return {};
}

std::expected<DecodedState, StateError> read_state_memory(int fd) {
  auto first = read_place(fd, 0);
  auto second = read_place(fd, 1);
  // What this program can read is then the older one.
  for (auto* place : {&first, &second}) {
    if (!*place && place->error().code == StateError::Code::Future) return std::move(*place);
  }
  if (!first) return second ? std::move(second) : std::move(first);
  if (!second || second->sequence < first->sequence) return first;
  return second;
}

}  // namespace baton::supervisor
