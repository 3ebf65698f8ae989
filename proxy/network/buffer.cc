#include "proxy/network/buffer.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "shared/os/check.h"

namespace baton::proxy {

Buffer::OwnedBlock Buffer::allocate(std::size_t capacity) {
  BATON_CHECK(capacity <= UINT32_MAX);
  return OwnedBlock(new (::operator new(sizeof(Block) + capacity))
                        Block{.capacity = static_cast<std::uint32_t>(capacity)});
}

void Buffer::consume(std::size_t count) {
  BATON_CHECK(count <= size());
  if (count == 0) return;
  block_->begin += static_cast<std::uint32_t>(count);
  if (block_->begin == block_->end) clear();
}

void Buffer::commit(std::size_t count) {
  BATON_CHECK(count <= writable().size());
  if (count > 0) block_->end += static_cast<std::uint32_t>(count);
}

void Buffer::reserve(std::size_t room) {
  if (writable().size() >= room) return;
  const std::size_t used = size();
  // Moving down is worth it when it frees at least as much as it copies.
  if (capacity() - used >= room && block_->begin >= used) {
    std::memmove(block_->bytes(), block_->bytes() + block_->begin, used);
  } else {
    OwnedBlock larger = allocate(std::max(used + room, capacity() * 2));
    if (used > 0) std::memcpy(larger->bytes(), block_->bytes() + block_->begin, used);
    block_ = std::move(larger);
  }
  block_->begin = 0;
  block_->end = static_cast<std::uint32_t>(used);
}

void Buffer::append(std::string_view bytes) {
  if (bytes.empty()) return;
  reserve(bytes.size());
  std::memcpy(block_->bytes() + block_->end, bytes.data(), bytes.size());
  block_->end += static_cast<std::uint32_t>(bytes.size());
}

}  // namespace baton::proxy
