// What the targets for requests and for responses have in common.
#pragma once

#include <string>
#include <string_view>

#include "proxy/http/codec/message_head.h"
#include "proxy/http/codec/message_limits.h"
#include "proxy/http/codec/verdict.h"
#include "tests/fuzz/pieces.h"

namespace baton::fuzz {

inline constexpr proxy::http::MessageLimits kHeadLimits{
    .start_line_bytes = 200, .header_bytes = 600, .header_count = 40, .body_bytes = 1U << 30};

// As test::Understood says it.
inline std::string framing_of(const proxy::http::MessageHead& head) {
  using proxy::http::BodyFraming;
  if (head.framing == BodyFraming::Chunked) return "chunked";
  if (head.framing == BodyFraming::Length) return "length " + std::to_string(head.content_length);
  return "none";
}

// What follows the head is not needed for it: then it is complete before the last piece. `asked` is
// what the parser wants to know besides.
template <class Parser, class Head, class... Asked>
proxy::http::Verdict parse_in_pieces(std::string_view bytes, std::size_t piece, Head& head,
                                     const Asked&... asked) {
  Parser parser(kHeadLimits);
  for (std::size_t size = piece; size < bytes.size(); size += piece) {
    const ExactCopy copy(bytes.substr(0, size));
    const proxy::http::Verdict verdict = parser.parse(copy.view(), asked..., head);
    if (verdict.complete()) head.rebase(copy.view(), bytes.data());
    if (!verdict.need_more()) return verdict;
  }
  return parser.parse(bytes, asked..., head);
}

}  // namespace baton::fuzz
