// A contiguous run of bytes: appended at its end, consumed from its front.
//
// An empty buffer that has been release()d owns no memory, so that an idle connection holds none.
// Thread: none; a plain value that moves with its owner.
// Invariant: begin_ <= end_ <= capacity_; both are 0 when there is nothing to read.
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

  bool empty() const { return begin_ == end_; }
  std::size_t size() const { return end_ - begin_; }
  std::size_t capacity() const { return capacity_; }

  // Valid until the next call that is not const.
  std::span<char> readable() { return {memory_.get() + begin_, size()}; }
  std::string_view view() const { return {memory_.get() + begin_, size()}; }
  // count <= size().
  void consume(std::size_t count);

  // Room behind the readable bytes; fill a part of it, then commit() what was filled.
  std::span<char> writable() { return {memory_.get() + end_, capacity_ - end_}; }
  void commit(std::size_t count);

  // Makes writable() at least `room` bytes long.
  void reserve(std::size_t room);
  void append(std::string_view bytes);
  void clear() { begin_ = end_ = 0; }
  // Frees the memory; what was readable is gone.
  void release();

  void swap(Buffer& other) noexcept;

 private:
  std::unique_ptr<char[]> memory_;
  std::uint32_t capacity_ = 0;
  std::uint32_t begin_ = 0;
  std::uint32_t end_ = 0;
};

}  // namespace baton::proxy
