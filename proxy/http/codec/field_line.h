// Reads single lines of a head. Each function looks at [begin, end), which starts at a line.
// Thread: none; pure functions.
// Source: RFC 9112 sections 2.2 and 5. Lines end in CRLF and nothing else.
#pragma once

#include "proxy/http/codec/header_field.h"
#include "proxy/http/codec/rejection.h"

namespace baton::proxy::http {

// Where a line led to. Neither member set: the line is not all there yet.
struct LineEnd {
  const char* next = nullptr;            // the first byte behind the line
  const Rejection* rejection = nullptr;  // the line is wrong

  static LineEnd need_more() { return {}; }
  static LineEnd reject(const Rejection& why) { return {nullptr, &why}; }
};

// `at` is where a line's text ended because of a byte that may not stand in it. CRLF is the end;
// anything else is a mistake.
inline LineEnd end_of_line(const char* at, const char* end) {
  if (at == end) return LineEnd::need_more();
  if (*at == '\r') {
    if (at + 1 == end) return LineEnd::need_more();
    return at[1] == '\n' ? LineEnd{at + 2, nullptr} : LineEnd::reject(kBareCr);
  }
  return LineEnd::reject(*at == '\n' ? kBareLf : kControlCharacter);
}

// "name: value CRLF" of a head or of trailers. begin < end, and the line is not the empty one.
LineEnd read_field_line(const char* begin, const char* end, HeaderField& field);

}  // namespace baton::proxy::http
