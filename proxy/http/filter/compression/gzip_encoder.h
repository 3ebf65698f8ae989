// Compresses one body after the other into gzip (RFC 1952) with zlib, piece by piece. What has been
// given to it can be decoded by the receiver as soon as it is sent: each piece is flushed.
//
// Thread: its worker's. Owns: zlib's state, some 70 KiB.
#pragma once

#include <zlib.h>

#include <memory>
#include <string_view>

#include "proxy/network/buffer.h"

namespace baton::proxy::http {

class GzipEncoder {
 public:
  // level: 1 (fast) to 9 (small). Null: no memory.
  static std::unique_ptr<GzipEncoder> create(int level);

  // Ready for another body.
  void restart();
  // Appends to `out`. An empty `input` without an end adds nothing; after EndOfStream::Yes comes
  // restart().
  void encode(std::string_view input, EndOfStream end, Buffer& out);

 private:
  struct End {
    void operator()(z_stream* stream) const {
      ::deflateEnd(stream);
      delete stream;
    }
  };

  explicit GzipEncoder(std::unique_ptr<z_stream, End> stream) : stream_(std::move(stream)) {}

  std::unique_ptr<z_stream, End> stream_;
};

}  // namespace baton::proxy::http
