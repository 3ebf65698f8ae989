// What the operators of an access log stand for, for one request.
// Thread: its worker's. Borrows everything; lives for one line.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/http/access_log/log_operator.h"
#include "proxy/http/codec/message_head.h"
#include "proxy/http/stream_info.h"

namespace baton::proxy::http {

class LoggedRequest {
 public:
  LoggedRequest(const StreamInfo& stream, const RequestHead& request, const ResponseHead* response)
      : stream_(stream), request_(request), response_(response) {}

  // Empty: there is none. Valid until the next call. Numbers are decimal.
  std::string_view value(const LogPiece& piece);

 private:
  std::string_view request_line(const LogPiece& piece) const;
  std::string_view upstream(const LogPiece& piece);
  std::string_view client(const LogPiece& piece);
  std::string_view request_header(std::string_view name) const;
  std::string_view number(std::uint64_t value);
  std::string_view start_time();

  const StreamInfo& stream_;
  const RequestHead& request_;
  const ResponseHead* response_;
  std::string text_;  // of the last value, if it had to be made
  std::array<char, 32> digits_;
};

}  // namespace baton::proxy::http
