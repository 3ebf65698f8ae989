#include "proxy/http/codec/chunked_encoder.h"

#include "proxy/http/codec/line_writer.h"

namespace baton::proxy::http {

ChunkStart::ChunkStart(std::uint64_t size) : begin_(sizeof text_ - kChunkEnd.size()) {
  text_[begin_] = '\r';
  text_[begin_ + 1] = '\n';
  do {
    text_[--begin_] = "0123456789abcdef"[size & 0xf];
    size >>= 4;
  } while (size != 0);
}

void write_chunk(Buffer& out, std::string_view data) {
  if (data.empty()) return;
  const ChunkStart start(data.size());
  LineWriter line(out, start.view().size() + data.size() + kChunkEnd.size());
  line.put(start.view());
  line.put(data);
  line.put(kChunkEnd);
}

void write_last_chunk(Buffer& out, const HeaderMap* trailers) {
  if (trailers == nullptr) return out.append(kLastChunk);
  LineWriter lines(out, fields_size(*trailers) + kLastChunk.size());
  lines.put("0\r\n");
  lines.put_fields(*trailers, HeaderSet());
  lines.put("\r\n");
}

}  // namespace baton::proxy::http
