#include "proxy/http/codec/request_parser.h"

#include "proxy/http/codec/authority.h"
#include "proxy/http/codec/characters.h"
#include "proxy/http/codec/connection_options.h"
#include "proxy/http/codec/framing_headers.h"
#include "proxy/http/codec/request_line.h"

namespace baton::proxy::http {
namespace {

constexpr std::size_t kMaxLeadingLines = RequestParser::kMaxLeadingLines;

std::size_t leading_empty_lines(std::string_view bytes) {
  std::size_t start = 0;
  while (start < 2 * kMaxLeadingLines && bytes.substr(start).starts_with("\r\n")) start += 2;
  return start;
}

const Rejection* check_host(RequestHead& head) {
  if (!head.headers.has(HeaderId::Host)) {
    return head.version == Version::Http11 ? &kMissingHost : nullptr;
  }
  if (head.headers.repeated(HeaderId::Host)) return &kRepeatedHost;
  const std::string_view host = head.headers.get(HeaderId::Host);
  if (!is_authority(host, PortRule::Optional)) return &kBadHost;
  if (head.authority.empty()) {
    head.authority = host;
    return nullptr;
  }
  if (equal_ignoring_case(host, head.authority)) return nullptr;
  // Some clients leave the port out of CONNECT's Host.
  const bool is_connect = head.method == Method::Connect;
  if (is_connect && equal_ignoring_case(host, host_of(head.authority))) return nullptr;
  return &kHostMismatch;
}

// RFC 9110 sections 9.3.6 and 9.3.8: after CONNECT comes the tunnel, and TRACE has nothing to send.
const Rejection* check_body(RequestHead& head) {
  if (head.method != Method::Connect && head.method != Method::Trace) return nullptr;
  if (head.has_body()) return &kUnexpectedBody;
  head.framing = BodyFraming::None;  // some clients say that there is none
  return nullptr;
}

const Rejection* check_expectation(RequestHead& head) {
  if (!head.headers.has(HeaderId::Expect)) return nullptr;
  if (head.version == Version::Http10) {
    // It means nothing there, and would once the request goes on in HTTP/1.1.
    head.headers.remove(HeaderId::Expect);
    return nullptr;
  }
  for (const HeaderField& field : head.headers) {
    const bool is_expect = field.id() == HeaderId::Expect;
    if (is_expect && !equal_ignoring_case(field.value(), "100-continue")) {
      return &kUnknownExpectation;
    }
  }
  head.expects_continue = head.has_body();
  return nullptr;
}

}  // namespace

const Rejection* RequestParser::check(RequestHead& head) const {
  if (const Rejection* const why = check_host(head)) return why;
  if (const Rejection* const why = read_framing_headers(head)) return why;
  if (const Rejection* const why = check_body(head)) return why;
  if (!apply_connection_options(head)) return &kBadConnection;
  if (const Rejection* const why = check_expectation(head)) return why;
  return head.content_length > limits().body_bytes ? &kBodyTooLarge : nullptr;
}

Verdict RequestParser::parse(std::string_view bytes, RequestHead& head) {
  const std::size_t start = bytes.starts_with('\r') ? leading_empty_lines(bytes) : 0;
  // A CR that may yet become an empty line.
  if (start < 2 * kMaxLeadingLines && bytes.substr(start) == "\r") return {};
  const Verdict verdict =
      advance(bytes, start, head, [](const char* begin, const char* end, MessageHead& line_head) {
        auto& request_head = static_cast<RequestHead&>(line_head);
        request_head.clear();
        return read_request_line(begin, end, request_head);
      });
  if (verdict.rejected()) head.clear();
  if (!verdict.complete()) return verdict;
  if (const Rejection* const why = check(head)) return rejected(*why);
  return verdict;
}

}  // namespace baton::proxy::http
