// The first bytes of a route's path as a number: tells most routes that do not match by one
// comparison, and 1,000 of them lie close together in memory.
// Thread: any; immutable.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

#include "proxy/http/route/route_match.h"

namespace baton::proxy::http {

class PathProbe {
 public:
  using Word = std::uint64_t;

  explicit PathProbe(const PathMatch& match) {
    if (const auto* const exact = std::get_if<ExactPath>(&match)) {
      expected_ = beginning_of(exact->path);
      mask_ = ~Word{0};  // no path holds a zero, so a shorter one differs
    } else if (const auto* const prefix = std::get_if<PathPrefix>(&match)) {
      expected_ = beginning_of(prefix->prefix);
      mask_ = mask_of(prefix->prefix.size());
    }
  }

  static Word beginning_of(std::string_view path) {
    Word word = 0;
    if (path.size() >= sizeof word) {
      std::memcpy(&word, path.data(), sizeof word);
    } else if (!path.empty()) {
      std::memcpy(&word, path.data(), path.size());
    }
    return word;
  }

  // False: the route's path does not match one that begins so.
  bool may_match(Word beginning) const { return (beginning & mask_) == expected_; }

 private:
  static Word mask_of(std::size_t bytes) {
    Word mask = 0;
    std::memset(&mask, 0xff, bytes < sizeof mask ? bytes : sizeof mask);
    return mask;
  }

  Word expected_ = 0;
  Word mask_ = 0;  // 0: any path
};

}  // namespace baton::proxy::http
