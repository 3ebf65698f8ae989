// Keeps copies of short texts at fixed addresses until it is cleared. The first few need no
// allocation.
// Thread: none. Owns: the copies.
// Invariant: a stored text never moves, so the store itself cannot be copied or moved.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

namespace baton::proxy::http {

class TextStore {
 public:
  TextStore() = default;
  TextStore(const TextStore&) = delete;
  TextStore& operator=(const TextStore&) = delete;

  // Valid until clear().
  std::string_view keep(std::string_view text);
  void clear() {
    used_ = 0;
    if (!blocks_.empty()) blocks_.clear();
  }

 private:
  std::size_t used_ = 0;
  std::vector<std::unique_ptr<char[]>> blocks_;  // one for each text that inline_ had no room for
  std::array<char, 256> inline_;                 // filled up to used_
};

}  // namespace baton::proxy::http
