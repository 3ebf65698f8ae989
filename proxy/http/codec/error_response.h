// A short answer of Baton's own, after which the connection is closed.
// Thread: none.
#pragma once

#include <cstdint>
#include <string_view>

#include "proxy/network/buffer.h"

namespace baton::proxy::http {

// Whether the body may be sent: not in answer to HEAD, whose answer only tells its length.
enum class SendBody : bool { No, Yes };

struct ErrorResponse {
  std::uint16_t status = 500;
  std::string_view reason;  // a line of text for the body; empty: the status's own phrase
  std::string_view date;    // the Date header's value (RFC 9110 section 6.6.1); empty: none
  SendBody send_body = SendBody::Yes;
};

// Appends the whole response, "connection: close" included.
void write_error_response(Buffer& out, const ErrorResponse& response);

}  // namespace baton::proxy::http
