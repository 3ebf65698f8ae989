// One piece of an access log line: text, or something about the request.
// Thread: any; plain values and pure functions.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace baton::proxy::http {

enum class LogOperator : std::uint8_t {
  Text,  // the piece's own
  StartTime,
  Method,
  Path,
  Protocol,
  Authority,
  RequestHeader,
  ResponseHeader,
  ResponseCode,
  ResponseFlags,
  ResponseCodeDetails,
  BytesReceived,
  BytesSent,
  Duration,
  UpstreamServiceTime,
  UpstreamHost,
  UpstreamCluster,
  UpstreamAttempts,
  RouteName,
  ClientAddress,
  ClientAddressWithoutPort,
  RequestId,
  Generation,
  Listener,
};

struct LogPiece {
  LogOperator what = LogOperator::Text;
  std::string text;              // Text: itself; headers: the name
  std::string alternative = {};  // headers: "%REQ(A?B)%", the name to take when there is no A
  std::uint32_t most_bytes = 0;  // "%REQ(A):20%"; 0: all
  bool alone = false;            // the whole value of a JSON member

  // Whether it is a number in JSON.
  bool numeric() const;
};

// "%%" is a percent sign. The error is what is wrong and what is allowed, for a user.
std::expected<std::vector<LogPiece>, std::string> parse_log_text(std::string_view text);

}  // namespace baton::proxy::http
