// The line that the access log has for one request, compiled once from text with operators in
// Envoy's notation ("%RESPONSE_CODE%", "%REQ(User-Agent)%") or from JSON fields of such texts.
//
// Whatever a client sends, a request is one line: in text, control characters, quotes, backslashes
// and bytes beyond ASCII of what comes from outside are written \xHH; JSON strings are escaped and
// always UTF-8.
// Thread: any; immutable. docs/configuration.md lists the operators.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/http/access_log/log_operator.h"
#include "proxy/http/codec/message_head.h"
#include "proxy/http/stream_info.h"

namespace baton::proxy::http {

class AccessLogFormat {
 public:
  // Like Envoy's own.
  static constexpr std::string_view kDefault =
      R"([%START_TIME%] "%METHOD% %PATH% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% )"
      R"(%RESPONSE_CODE_DETAILS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% )"
      R"(%UPSTREAM_SERVICE_TIME% "%REQ(X-Forwarded-For)%" "%REQ(User-Agent)%" )"
      R"("%REQUEST_ID%" "%AUTHORITY%" "%UPSTREAM_HOST%")";

  // The error is what is wrong, for a user. A line end is appended to each line.
  static std::expected<AccessLogFormat, std::string> text(std::string_view format);
  // {"name": "%OPERATOR%", ...}. A value that is one operator alone and is a number becomes a JSON
  // number; a missing one becomes null.
  using Field = std::pair<std::string, std::string>;  // name, text
  static std::expected<AccessLogFormat, std::string> json(const std::vector<Field>& fields);

  // The same with %LISTENER% and %GENERATION% known; before the first render(), in bind().
  AccessLogFormat bound(std::string_view listener, std::uint64_t generation) const;

  // Appends one line with its end. Of a request that could not be read the members are empty;
  // `response` null: none was sent. The heads' bytes must still be there: to log their lines, a
  // connection keeps them to the end of the request. What is missing is a "-".
  void render(std::string& out, const StreamInfo& stream, const RequestHead& request,
              const ResponseHead* response) const;

  // Whether render() looks at header lines of a request or response, or only at the first line and
  // the stream.
  bool reads_headers() const;

 private:
  enum class Style : std::uint8_t { Text, Json };

  Style style_ = Style::Text;
  std::vector<LogPiece> pieces_;
};

}  // namespace baton::proxy::http
