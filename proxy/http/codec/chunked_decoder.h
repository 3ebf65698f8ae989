// Takes a chunked body apart: bytes in, spans of body data out, without copying any.
//
//   for (;;) {
//     const ChunkedDecoder::Step step = decoder.decode(input);
//     forward(step.data); input.remove_prefix(step.consumed);
//     if (step.state != ChunkedDecoder::State::Data) break;
//   }
//
// Thread: none. Borrows: limits (outlive it). Owns: trailers, when there are any; else no memory.
// Source: RFC 9112 section 7.1. Sizes are 1 to 16 hex digits, lines end in CRLF.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "proxy/http/codec/chunk_extension.h"
#include "proxy/http/codec/header_map.h"
#include "proxy/http/codec/message_limits.h"
#include "proxy/http/codec/rejection.h"

namespace baton::proxy::http {

class ChunkedDecoder {
 public:
  enum class State : std::uint8_t {
    NeedMore,  // all input is consumed, the body goes on
    Data,      // call again with the rest, which may be empty
    Done,      // the body ended; what is not consumed is the next message
    Rejected,  // `rejection` says why; everything but its status holds for responses, too
  };
  struct Step {
    State state = State::NeedMore;
    std::size_t consumed = 0;  // with the framing before and between
    std::string_view data;     // part of the input; empty unless state is Data
    const Rejection* rejection = nullptr;
  };

  // Extensions: for one chunk, and how far all of them may exceed the body's own size.
  static constexpr std::uint32_t kMaxExtensionBytes = 256;
  static constexpr std::uint64_t kMaxExtensionExcess = 16 * 1024;

  explicit ChunkedDecoder(const MessageLimits& limits);
  ~ChunkedDecoder();
  ChunkedDecoder(ChunkedDecoder&&) noexcept;

  // After Done or Rejected: not before reset().
  Step decode(std::string_view input);
  // Ready for another body.
  void reset();

  // The sizes of all chunks so far.
  std::uint64_t body_bytes() const { return body_bytes_; }

  // After Done; null when there were none. Framing, routing and hop-by-hop fields are refused among
  // them (RFC 9110 section 6.5.1); other names of HeaderId but ETag are dropped, as their meaning
  // belongs to the head.
  HeaderMap* trailers();

 private:
  enum class Phase : std::uint8_t {
    FirstDigit,
    Digits,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    Trailers,
    EndLf
  };
  struct Trailers;

  const Rejection* take(char c);
  const Rejection* take_after_digit(char c);
  const Rejection* take_extension(char c);
  const Rejection* start_chunk();
  Step take_data(std::string_view input, std::size_t at);
  Step take_trailers(std::string_view input, std::size_t at);

  const MessageLimits& limits_;
  std::uint64_t chunk_left_ = 0;  // of the current chunk; while its line is read: its size
  std::uint64_t body_bytes_ = 0;
  std::uint64_t extension_bytes_ = 0;
  std::uint32_t line_extension_bytes_ = 0;
  std::uint8_t digits_ = 0;
  Phase phase_ = Phase::FirstDigit;
  ChunkExtension extension_;
  std::unique_ptr<Trailers> trailers_;
};

}  // namespace baton::proxy::http
