// A contiguous run of bytes: appended at its end, consumed from its front.
//
// An empty buffer that has been release()d owns no memory, so that an idle connection holds none.
// Thread: none; a plain value that moves with its owner.
// Invariant: begin <= end <= capacity; both are 0 when there is nothing to read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace baton::proxy {

// Whether these bytes are the last of their direction.
enum class EndOfStream : bool { No, Yes };

class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t capacity) { reserve(capacity); }
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    Buffer taken(std::move(other));
    swap(taken);
    return *this;
  }

  bool empty() const { return !block_ || block_->begin == block_->end; }
  std::size_t size() const { return block_ ? block_->end - block_->begin : 0; }
  std::size_t capacity() const { return block_ ? block_->capacity : 0; }

  // Valid until the next call that is not const.
  std::span<char> readable() {
    return block_ ? std::span(block_->bytes() + block_->begin, size()) : std::span<char>();
  }
  std::string_view view() const {
    return block_ ? std::string_view(block_->bytes() + block_->begin, size()) : std::string_view();
  }
  // count <= size().
  void consume(std::size_t count);

  // Room behind the readable bytes; fill a part of it, then commit() what was filled.
  std::span<char> writable() {
    return block_ ? std::span(block_->bytes() + block_->end, block_->capacity - block_->end)
                  : std::span<char>();
  }
  void commit(std::size_t count);

  // Makes writable() at least `room` bytes long.
  void reserve(std::size_t room);
  void append(std::string_view bytes);
  void clear() {
    if (block_) block_->begin = block_->end = 0;
  }
  // Frees the memory; what was readable is gone.
  void release() { block_.reset(); }

  void swap(Buffer& other) noexcept { block_.swap(other.block_); }

 private:
  // The bytes lie behind it, so that a buffer that has none is one null pointer: a connection has
  // several.
  struct alignas(16) Block {
    std::uint32_t capacity;
    std::uint32_t begin = 0;
    std::uint32_t end = 0;

    char* bytes() { return reinterpret_cast<char*>(this + 1); }
    const char* bytes() const { return reinterpret_cast<const char*>(this + 1); }
  };
  struct Free {
    void operator()(Block* block) const { ::operator delete(block); }
  };
  using OwnedBlock = std::unique_ptr<Block, Free>;
  static OwnedBlock allocate(std::size_t capacity);

  OwnedBlock block_;
};

}  // namespace baton::proxy
