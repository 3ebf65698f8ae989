// From received bytes to a ResponseHead, or the reason why the upstream cannot be believed.
//
// Used as RequestParser is. After an interim response (1xx, head.interim()) comes another head. How
// a response ends depends on its request, so the caller says which one it answers.
//
// Thread: none. Borrows: limits (outlive it); the bytes, by the head.
// Source: RFC 9112 sections 4 and 6.3, RFC 9110 sections 8.6 and 15; choices in docs/http.md.
#pragma once

#include <string_view>

#include "proxy/http/codec/head_parser.h"

namespace baton::proxy::http {

// The request that is answered.
struct AnsweredRequest {
  Method method = Method::Get;
  std::string_view upgrade = {};  // the protocol that was asked for, which a 101 has to name
};

class ResponseParser : private HeadParser {
 public:
  explicit ResponseParser(const MessageLimits& limits) : HeadParser(limits) {}

  // `head` is cleared, and meaningful only when the verdict is Complete. A rejection's status is
  // 502.
  Verdict parse(std::string_view bytes, const AnsweredRequest& request, ResponseHead& head);

  using HeadParser::reset;
  using HeadParser::started;

 private:
  const Rejection* check(const AnsweredRequest& request, ResponseHead& head) const;
};

}  // namespace baton::proxy::http
