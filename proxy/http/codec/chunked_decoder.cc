#include "proxy/http/codec/chunked_decoder.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "proxy/http/codec/characters.h"
#include "proxy/http/codec/trailer_section.h"

namespace baton::proxy::http {
namespace {

constexpr unsigned kMaxDigits = 16;
constexpr unsigned kNoDigit = 16;

unsigned hex_value(char c) {
  if (is_digit(c)) return static_cast<unsigned>(c - '0');
  const char lower = to_lower(c);
  return lower >= 'a' && lower <= 'f' ? static_cast<unsigned>(lower - 'a' + 10) : kNoDigit;
}

}  // namespace

struct ChunkedDecoder::Trailers : TrailerSection {
  using TrailerSection::TrailerSection;
};

ChunkedDecoder::ChunkedDecoder(const MessageLimits& limits) : limits_(limits) {}
ChunkedDecoder::~ChunkedDecoder() = default;
ChunkedDecoder::ChunkedDecoder(ChunkedDecoder&&) noexcept = default;

void ChunkedDecoder::reset() {
  chunk_left_ = body_bytes_ = extension_bytes_ = 0;
  line_extension_bytes_ = 0;
  digits_ = 0;
  phase_ = Phase::FirstDigit;
  extension_ = {};
  trailers_.reset();
}

HeaderMap* ChunkedDecoder::trailers() {
  return trailers_ != nullptr ? &trailers_->fields() : nullptr;
}

// The line of a chunk is complete.
const Rejection* ChunkedDecoder::start_chunk() {
  digits_ = 0;
  line_extension_bytes_ = 0;
  extension_ = {};
  if (chunk_left_ == 0) {
    phase_ = Phase::TrailerStart;
    return nullptr;
  }
  if (chunk_left_ > limits_.body_bytes - body_bytes_) return &kBodyTooLarge;
  body_bytes_ += chunk_left_;
  phase_ = Phase::Data;
  return nullptr;
}

const Rejection* ChunkedDecoder::take_extension(char c) {
  if (c == '\r' && extension_.may_end()) {
    phase_ = Phase::SizeLf;
    return nullptr;
  }
  if (!extension_.take(c)) return &kBadChunkExtension;
  ++extension_bytes_;
  const bool is_too_long = ++line_extension_bytes_ > kMaxExtensionBytes ||
                           extension_bytes_ > kMaxExtensionExcess + body_bytes_;
  return is_too_long ? &kBadChunkExtension : nullptr;
}

const Rejection* ChunkedDecoder::take_after_digit(char c) {
  const unsigned digit = hex_value(c);
  if (digit != kNoDigit) {
    constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max();
    if (++digits_ > kMaxDigits || chunk_left_ > kMost >> 4) return &kBadChunkSize;
    chunk_left_ = chunk_left_ << 4 | digit;
    phase_ = Phase::Digits;
    return nullptr;
  }
  if (phase_ == Phase::FirstDigit) return &kBadChunkSize;
  if (c == '\r') {
    phase_ = Phase::SizeLf;
    return nullptr;
  }
  if (c != ';' && !is_blank(c)) return &kBadChunkSize;
  phase_ = Phase::Extension;
  return take_extension(c);
}

// One byte of framing.
const Rejection* ChunkedDecoder::take(char c) {
  switch (phase_) {
    case Phase::FirstDigit:
    case Phase::Digits:
      return take_after_digit(c);
    case Phase::Extension:
      return take_extension(c);
    case Phase::SizeLf:
      return c == '\n' ? start_chunk() : &kBareCr;
    case Phase::DataCr:
      phase_ = Phase::DataLf;
      return c == '\r' ? nullptr : &kBadChunkEnd;
    case Phase::DataLf:
      phase_ = Phase::FirstDigit;
      return c == '\n' ? nullptr : &kBadChunkEnd;
    case Phase::Data:
    case Phase::TrailerStart:
    case Phase::Trailers:
    case Phase::EndLf:
      break;  // decode() handles them
  }
  return nullptr;
}

ChunkedDecoder::Step ChunkedDecoder::take_data(std::string_view input, std::size_t at) {
  const std::size_t size = std::min<std::uint64_t>(input.size() - at, chunk_left_);
  chunk_left_ -= size;
  if (chunk_left_ == 0) phase_ = Phase::DataCr;
  return {.state = State::Data, .consumed = at + size, .data = input.substr(at, size)};
}

ChunkedDecoder::Step ChunkedDecoder::take_trailers(std::string_view input, std::size_t at) {
  const TrailerSection::Result read = trailers_->read(input.substr(at));
  if (read.rejection != nullptr) {
    return {.state = State::Rejected, .consumed = at, .rejection = read.rejection};
  }
  return {.state = read.complete ? State::Done : State::NeedMore, .consumed = at + read.consumed};
}

ChunkedDecoder::Step ChunkedDecoder::decode(std::string_view input) {
  for (std::size_t at = 0; at < input.size(); ++at) {
    const char c = input[at];
    if (phase_ == Phase::Data) return take_data(input, at);
    if (phase_ == Phase::Trailers) return take_trailers(input, at);
    if (phase_ == Phase::TrailerStart) {
      if (c != '\r') {
        trailers_ = std::make_unique<Trailers>(limits_);
        phase_ = Phase::Trailers;
        return take_trailers(input, at);
      }
      phase_ = Phase::EndLf;
    } else if (phase_ == Phase::EndLf) {
      if (c == '\n') return {.state = State::Done, .consumed = at + 1};
      return {.state = State::Rejected, .consumed = at, .rejection = &kBareCr};
    } else if (const Rejection* const why = take(c)) {
      return {.state = State::Rejected, .consumed = at, .rejection = why};
    }
  }
  return {.consumed = input.size()};
}

}  // namespace baton::proxy::http
