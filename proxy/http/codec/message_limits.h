// How large a message may be.
// Thread: none; a plain value.
#pragma once

#include <cstdint>
#include <limits>

namespace baton::proxy::http {

struct MessageLimits {
  std::uint32_t start_line_bytes = 8 * 1024;  // with its CRLF; beyond: 414
  std::uint32_t header_bytes = 32 * 1024;     // all lines with their CRLFs and the empty one; 431
  std::uint32_t header_count = 100;           // 431
  std::uint64_t body_bytes = std::numeric_limits<std::uint64_t>::max();  // without framing; 413
};

}  // namespace baton::proxy::http
