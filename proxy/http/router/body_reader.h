// Takes the framing off a message's body, whichever it has, without copying.
//
// Thread: none. Borrows: limits (outlive it).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/http/codec/chunked_decoder.h"
#include "proxy/http/codec/message_head.h"

namespace baton::proxy::http {

class BodyReader {
 public:
  explicit BodyReader(const MessageLimits& limits) : chunks_(limits) {}

  // The body of this head begins; a tunnel has none.
  void begin(const MessageHead& head);
  // There is no body.
  void begin_none();
  bool complete() const { return complete_; }

  struct Step {
    std::size_t consumed = 0;
    std::string_view data;                 // of the body, part of the input
    const Rejection* rejection = nullptr;  // chunked only
  };
  // The next piece; with consumed = 0 and no data, more input is needed. Not once complete.
  Step read(std::string_view input);
  // The connection has ended: whether that is the body's end (or it was complete).
  bool end_of_stream();

  // Bytes of a Length body still to come.
  std::uint64_t left() const { return left_; }
  // After a chunked body, without those that the head's Connection names; null: none.
  HeaderMap* trailers();

 private:
  BodyFraming framing_ = BodyFraming::None;
  bool complete_ = true;
  std::uint64_t left_ = 0;
  ChunkedDecoder chunks_;
  std::string connection_options_;  // of a chunked body's head; a list
};

}  // namespace baton::proxy::http
