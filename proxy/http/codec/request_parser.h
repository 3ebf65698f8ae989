// From received bytes to a RequestHead, or the status to refuse it with.
//
// Give it all bytes that the connection has and has not consumed; NeedMore: call again when there
// are more behind them (they may have moved meanwhile). Complete: consume `consumed` bytes, the
// body comes next as head.framing says, the parser is ready for the next request. Rejected: answer
// and close; what follows cannot be trusted to be a request.
//
// Thread: none. Borrows: limits (outlive it); the bytes, by the head.
// A waiting parser is some 24 bytes and owns no memory; one head may serve all connections of a
// worker until the head is Complete. Source: RFC 9112, RFC 9110; the choices where they leave some
// are in docs/http.md.
#pragma once

#include <string_view>

#include "proxy/http/codec/head_parser.h"

namespace baton::proxy::http {

class RequestParser : private HeadParser {
 public:
  explicit RequestParser(const MessageLimits& limits) : HeadParser(limits) {}

  // Empty lines before a request, for which RFC 9112 section 2.2 asks tolerance.
  static constexpr std::size_t kMaxLeadingLines = 4;

  // `head` is meaningful only when the verdict is Complete or Rejected. When it is rejected for
  // what its lines mean together they are there, for logs; else it is empty.
  Verdict parse(std::string_view bytes, RequestHead& head);

  using HeadParser::reset;
  using HeadParser::started;

 private:
  const Rejection* check(RequestHead& head) const;
};

}  // namespace baton::proxy::http
