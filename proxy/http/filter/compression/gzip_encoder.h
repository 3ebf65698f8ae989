// Compresses one body after the other into gzip (RFC 1952) with zlib, piece by piece. It keeps what
// it is given as long as it pays off, until flush(): each of those costs some bytes, and those
// behind it are compressed less well.
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
  // Appends to `out`. After EndOfStream::Yes comes restart().
  void encode(std::string_view input, EndOfStream end, Buffer& out);
  // Appends to `out` what makes all that was given decodable; nothing if it is already.
  void flush(Buffer& out);

 private:
  struct End {
    void operator()(z_stream* stream) const {
      ::deflateEnd(stream);
      delete stream;
    }
  };

  explicit GzipEncoder(std::unique_ptr<z_stream, End> stream) : stream_(std::move(stream)) {}

  void run(int flush, Buffer& out);

  std::unique_ptr<z_stream, End> stream_;
  bool keeps_ = false;  // something may have been given that is not out
};

}  // namespace baton::proxy::http
