#include "proxy/http/codec/response_parser.h"

#include "proxy/http/codec/characters.h"
#include "proxy/http/codec/connection_options.h"
#include "proxy/http/codec/framing_headers.h"
#include "proxy/http/codec/status_line.h"

namespace baton::proxy::http {
namespace {

bool is_success(const ResponseHead& head) { return head.status >= 200 && head.status < 300; }

// For statuses that never have a body: a length of 0 says the same and goes, any other framing
// could be believed by somebody.
const Rejection* take_no_body(ResponseHead& head) {
  const bool has_body = head.framing == BodyFraming::Chunked || head.content_length > 0;
  if (has_body) return &kUnexpectedBody;
  head.headers.remove(HeaderId::ContentLength);
  head.framing = BodyFraming::None;
  return nullptr;
}

// RFC 9112 section 6.3: what the request and the status say goes before what the headers say.
const Rejection* decide_framing(const AnsweredRequest& request, ResponseHead& head) {
  if (request.method == Method::Connect && is_success(head)) {
    head.headers.remove(HeaderId::ContentLength);
    head.headers.remove(HeaderId::TransferEncoding);
    head.framing = BodyFraming::Tunnel;
    head.content_length = 0;
    return nullptr;
  }
  if (head.status < 200 || head.status == 204) {
    if (const Rejection* const why = take_no_body(head)) return why;
    if (head.status != 101) return nullptr;
    const bool is_expected =
        !request.upgrade.empty() && equal_ignoring_case(head.upgrade, request.upgrade);
    head.framing = BodyFraming::Tunnel;
    return is_expected ? nullptr : &kUnexpectedUpgrade;
  }
  if (request.method == Method::Head || head.status == 304) {
    // Content-Length stays: it tells of the response that GET would have had.
    head.framing = BodyFraming::None;
    head.content_length = 0;
    return nullptr;
  }
  if (head.framing == BodyFraming::None) {
    head.framing = BodyFraming::UntilClose;
    head.persistence = Persistence::Close;
  }
  return nullptr;
}

}  // namespace

const Rejection* ResponseParser::check(const AnsweredRequest& request, ResponseHead& head) const {
  if (const Rejection* const why = read_framing_headers(head)) return why;
  if (!apply_connection_options(head)) return &kBadConnection;
  if (const Rejection* const why = decide_framing(request, head)) return why;
  return head.content_length > limits().body_bytes ? &kBodyTooLarge : nullptr;
}

Verdict ResponseParser::parse(std::string_view bytes, const AnsweredRequest& request,
                              ResponseHead& head) {
  Verdict verdict =
      advance(bytes, 0, head, [](const char* begin, const char* end, MessageHead& line_head) {
        auto& response_head = static_cast<ResponseHead&>(line_head);
        response_head.clear();
        return read_status_line(begin, end, response_head);
      });
  if (verdict.complete()) {
    if (const Rejection* const why = check(request, head)) verdict = rejected(*why);
  }
  if (verdict.rejected()) verdict.status = kBadGateway;
  return verdict;
}

}  // namespace baton::proxy::http
