// Writes a body in chunks (RFC 9112 section 7.1). Stateless: a chunk is ChunkStart, the data,
// kChunkEnd; the body ends with kLastChunk or write_last_chunk(). Never write an empty chunk: it is
// the last. Thread: none.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proxy/http/codec/header_map.h"
#include "proxy/network/buffer.h"

namespace baton::proxy::http {

inline constexpr std::string_view kChunkEnd = "\r\n";
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

// The line before a chunk's data, for those who write both with one system call.
class ChunkStart {
 public:
  // size > 0.
  explicit ChunkStart(std::uint64_t size);
  std::string_view view() const { return {text_.data() + begin_, text_.size() - begin_}; }

 private:
  std::array<char, 18> text_;  // 16 digits and CRLF, right-aligned
  std::size_t begin_;
};

// Appends a whole chunk; nothing when data is empty.
void write_chunk(Buffer& out, std::string_view data);

// Appends the end of the body, with trailers unless null.
void write_last_chunk(Buffer& out, const HeaderMap* trailers);

}  // namespace baton::proxy::http
