#include "proxy/http/codec/error_response.h"

#include "proxy/http/codec/message_head.h"
#include "proxy/http/codec/status_reason.h"
#include "proxy/http/codec/write_head.h"

namespace baton::proxy::http {

void write_error_response(Buffer& out, const ErrorResponse& response) {
  const std::string_view phrase = status_reason(response.status);
  const std::string_view text = response.reason.empty() ? phrase : response.reason;
  ResponseHead head;
  head.status = response.status;
  head.reason = phrase;
  head.framing = BodyFraming::Length;
  head.content_length = text.size() + 1;
  if (!response.date.empty()) head.headers.add_borrowed("date", response.date);
  head.headers.add_borrowed("content-type", "text/plain; charset=utf-8");
  write_response_head(out, head, ConnectionLine::Close);
  if (response.send_body == SendBody::No) return;
  out.append(text);
  out.append("\n");
}

}  // namespace baton::proxy::http
