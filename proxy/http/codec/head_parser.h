// What RequestParser and ResponseParser have in common: walking over a head that may arrive in any
// number of pieces. Not used on its own.
//
// The caller keeps all bytes of an unfinished head and presents them again, longer. Each line is
// checked once when it is complete, so a mistake is answered when its line ends at the latest; when
// the empty line comes after several pieces, the whole head is read once more, into the caller's
// head. So all work together is linear, and between calls nothing is kept but four numbers: a
// waiting connection needs no head.
//
// Thread: none. Borrows: limits.
// Invariant: what a head's complete lines lead to does not depend on how they were cut into pieces.
#pragma once

#include <cstdint>
#include <string_view>

#include "proxy/http/codec/field_line.h"
#include "proxy/http/codec/message_head.h"
#include "proxy/http/codec/message_limits.h"
#include "proxy/http/codec/verdict.h"

namespace baton::proxy::http {

class HeadParser {
 public:
  // Whether a head has begun to arrive.
  bool started() const { return scanned_ != 0; }
  // Forgets an unfinished head.
  void reset() { fields_begin_ = resume_ = scanned_ = field_count_ = 0; }

 protected:
  // Clears the head, and reads a first line of [begin, end) into it.
  using ReadStartLine = LineEnd (*)(const char* begin, const char* end, MessageHead& head);

  explicit HeadParser(const MessageLimits& limits) : limits_(limits) {}

  // The head begins at bytes[start]. Complete: its lines are in `head`, what they mean together is
  // still to be checked.
  Verdict advance(std::string_view bytes, std::size_t start, MessageHead& head,
                  ReadStartLine read_start_line);
  // Starts over, with or without success.
  Verdict rejected(const Rejection& why) {
    reset();
    return {.progress = Progress::Rejected, .status = why.status, .rejection = &why};
  }
  const MessageLimits& limits() const { return limits_; }

 private:
  bool has_news(std::string_view bytes, std::size_t start) const;
  Verdict read_lines(std::string_view bytes, std::size_t start, MessageHead& head,
                     ReadStartLine read_start_line);
  Verdict read_fields(std::string_view bytes, std::size_t line, MessageHead& head);
  Verdict wait(std::string_view bytes, std::size_t line);

  const MessageLimits& limits_;
  std::uint32_t fields_begin_ = 0;  // behind the first line; 0: that is not complete
  std::uint32_t resume_ = 0;        // the beginning of the first line that is not complete
  std::uint32_t scanned_ = 0;       // no line ends before here
  std::uint32_t field_count_ = 0;   // lines between fields_begin_ and resume_
};

}  // namespace baton::proxy::http
