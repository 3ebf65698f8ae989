// Fuzzed bytes as a parser meets them: each piece in memory of exactly its size, so that reading
// beyond it is seen.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>

namespace baton::fuzz {

class ExactCopy {
 public:
  explicit ExactCopy(std::string_view bytes)
      : memory_(std::make_unique_for_overwrite<char[]>(bytes.size())), size_(bytes.size()) {
    if (!bytes.empty()) std::memcpy(memory_.get(), bytes.data(), bytes.size());
  }
  std::string_view view() const { return {memory_.get(), size_}; }

 private:
  std::unique_ptr<char[]> memory_;
  std::size_t size_;
};

// The first byte of the input chooses how the rest is cut or read.
struct Input {
  Input(const std::uint8_t* data, std::size_t size)
      : choice(size > 0 ? data[0] : 0),
        bytes(reinterpret_cast<const char*>(data) + (size > 0 ? 1 : 0), size > 0 ? size - 1 : 0) {}
  std::uint8_t choice;
  std::string_view bytes;
};

// What must hold, whatever the input.
inline void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace baton::fuzz
