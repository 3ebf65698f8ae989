#include "proxy/http/filter/compression/gzip_encoder.h"

#include <utility>

#include "shared/os/check.h"

namespace baton::proxy::http {
namespace {

// A window of 8 KiB and hash tables to match: text shrinks nearly as well as with the most there
// is, at a quarter of the memory and with fewer cache misses.
constexpr int kWindowBits = 13;
constexpr int kMemoryLevel = 6;
constexpr int kGzipFormat = 16;  // added to the window bits: zlib.h, deflateInit2()

}  // namespace

std::unique_ptr<GzipEncoder> GzipEncoder::create(int level) {
  auto initial = std::make_unique<z_stream>();
  const int result = ::deflateInit2(initial.get(), level, Z_DEFLATED, kWindowBits + kGzipFormat,
                                    kMemoryLevel, Z_DEFAULT_STRATEGY);
  if (result != Z_OK) return nullptr;
  return std::unique_ptr<GzipEncoder>(
      new GzipEncoder(std::unique_ptr<z_stream, End>(initial.release())));
}

void GzipEncoder::restart() {
  keeps_ = false;
  BATON_CHECK(::deflateReset(stream_.get()) == Z_OK);
}

void GzipEncoder::encode(std::string_view input, EndOfStream end, Buffer& out) {
  if (input.empty() && end == EndOfStream::No) return;
  // zlib reads only; its interface is older than const.
  stream_->next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input.data()));
  stream_->avail_in = static_cast<uInt>(input.size());
  keeps_ = end == EndOfStream::No;
  run(keeps_ ? Z_NO_FLUSH : Z_FINISH, out);
}

void GzipEncoder::flush(Buffer& out) {
  if (!std::exchange(keeps_, false)) return;
  stream_->avail_in = 0;
  run(Z_SYNC_FLUSH, out);
}

void GzipEncoder::run(int flush, Buffer& out) {
  constexpr std::size_t kLeastRoom = 512;
  // All is out when zlib leaves room: it fills what it is given before it returns.
  do {
    out.reserve(kLeastRoom);
    const auto room = out.writable();
    stream_->next_out = reinterpret_cast<Bytef*>(room.data());
    stream_->avail_out = static_cast<uInt>(room.size());
    const int result = ::deflate(stream_.get(), flush);
    BATON_CHECK(result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR);
    out.commit(room.size() - stream_->avail_out);
  } while (stream_->avail_out == 0);
}

}  // namespace baton::proxy::http
