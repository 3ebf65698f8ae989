#include "proxy/network/buffer.h"

#include <cstring>
#include <utility>

#include "shared/os/check.h"

namespace baton::proxy {

void Buffer::consume(std::size_t count) {
  BATON_CHECK(count <= size());
  begin_ += static_cast<std::uint32_t>(count);
  if (begin_ == end_) clear();
}

void Buffer::commit(std::size_t count) {
  BATON_CHECK(count <= capacity_ - end_);
  end_ += static_cast<std::uint32_t>(count);
}

void Buffer::reserve(std::size_t room) {
  if (capacity_ - end_ >= room) return;
  const std::size_t used = size();
  // Moving down is worth it when it frees at least as much as it copies.
  if (capacity_ - used >= room && begin_ >= used) {
    std::memmove(memory_.get(), memory_.get() + begin_, used);
  } else {
    const std::size_t doubled = std::size_t{capacity_} * 2;
    const std::size_t capacity = used + room > doubled ? used + room : doubled;
    BATON_CHECK(capacity <= UINT32_MAX);
    auto memory = std::make_unique_for_overwrite<char[]>(capacity);
    if (used > 0) std::memcpy(memory.get(), memory_.get() + begin_, used);
    memory_ = std::move(memory);
    capacity_ = static_cast<std::uint32_t>(capacity);
  }
  begin_ = 0;
  end_ = static_cast<std::uint32_t>(used);
}

void Buffer::append(std::string_view bytes) {
  if (bytes.empty()) return;
  reserve(bytes.size());
  std::memcpy(memory_.get() + end_, bytes.data(), bytes.size());
  end_ += static_cast<std::uint32_t>(bytes.size());
}

void Buffer::release() {
  memory_.reset();
  capacity_ = begin_ = end_ = 0;
}

void Buffer::swap(Buffer& other) noexcept {
  std::swap(memory_, other.memory_);
  std::swap(capacity_, other.capacity_);
  std::swap(begin_, other.begin_);
  std::swap(end_, other.end_);
}

}  // namespace baton::proxy
