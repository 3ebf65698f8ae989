// What a tunnel takes along to the generation that will log its end.
#include "proxy/http/access_log/tunnel_record.h"

#include <doctest/doctest.h>

#include <limits>

#include "proxy/http/access_log/access_log_format.h"
#include "proxy/move/http_tunnel_record.h"

using namespace baton;
using namespace baton::proxy::http;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view kFormat =
    "%START_TIME% %METHOD% %PATH% %PROTOCOL% %AUTHORITY% %REQ(:PATH)% %REQ(:AUTHORITY)% "
    "%REQ(X-A)% %RESP(X-B)% %REQUEST_ID% %RESPONSE_CODE% %RESPONSE_FLAGS% %UPSTREAM_SERVICE_TIME% "
    "%UPSTREAM_REQUEST_ATTEMPT_COUNT% %ROUTE_NAME% %DOWNSTREAM_REMOTE_ADDRESS%";

std::string rendered(const StreamInfo& stream, const RequestHead& request,
                     const ResponseHead& response) {
  std::string line;
  AccessLogFormat::text(kFormat)->render(line, stream, request, &response);
  return line;
}

// Through the message that carries it.
bool pass_on(const TunnelRecord& record, proxy::MoveDetails& to) {
  proto::HttpTunnelRecord message;
  proxy::write_http_tunnel(
      {.idle_timeout = 7s, .tunnel = std::make_shared<const TunnelRecord>(record)}, message);
  return proxy::read_http_tunnel(message, to);
}

}  // namespace

TEST_CASE("tunnel record: what is logged of it elsewhere is what would be logged here") {
  StreamInfo stream;
  stream.started = std::chrono::system_clock::time_point(1'769'862'896'007ms);
  stream.started_at = std::chrono::steady_clock::now();
  stream.upstream_time = 11'900us;
  stream.client = *os::SocketAddress::parse("[2001:db8::1]:4711");
  stream.status = 101;
  stream.attempts = 2;
  stream.flags.set(ResponseFlag::DelayInjected);
  stream.route = "chat";
  RequestHead request;
  request.method_name = "GET";
  request.target = "/as/received?q";
  request.path = "/rewritten?q";
  request.authority = "inner";
  for (const auto& [name, value] : {std::pair("Host", "outer"), std::pair("X-A", "a: b, c"),
                                    std::pair("x-request-id", "id-1")}) {
    REQUIRE(request.headers.add(name, value));
  }
  ResponseHead response;
  REQUIRE(response.headers.add("X-B", "its"));
  proxy::MoveDetails details;
  REQUIRE(pass_on(make_tunnel_record(stream, request, response), details));
  CHECK(details.idle_timeout == 7s);
  const RecordedTunnel recorded(*details.tunnel);
  CHECK(rendered(recorded.stream, recorded.request, recorded.response) ==
        rendered(stream, request, response));
  CHECK(recorded.stream.started_at == stream.started_at);
}

TEST_CASE("tunnel record: lines beyond the limit stay behind") {
  RequestHead request;
  REQUIRE(request.headers.add("X-A", "first"));
  REQUIRE(request.headers.add("X-Long", std::string(TunnelRecord::kMostLineBytes, 'x')));
  REQUIRE(request.headers.add("X-B", "last"));
  const TunnelRecord record = make_tunnel_record({}, request, {});
  CHECK(record.request_lines == "X-A: first\nX-B: last\n");
}

TEST_CASE("tunnel record: one that is malformed does no harm") {
  TunnelRecord record{.client = *os::SocketAddress::parse("192.0.2.1:1")};
  proxy::MoveDetails details;
  SUBCASE("a client that is no address is refused") {
    record.client = {};
    CHECK_FALSE(pass_on(record, details));
  }
  SUBCASE("lines that are none are left out") {
    record.request_lines = "no line\n:\nX-A : b\nX-B: a\rb\nX-C: good\n\n\nX-D";
    REQUIRE(pass_on(record, details));
    const RecordedTunnel recorded(*details.tunnel);
    CHECK(recorded.request.headers.size() == 1);
    CHECK(recorded.request.headers.get("x-c") == "good");
  }
  SUBCASE("times out of range do not overflow") {
    proto::HttpTunnelRecord message;
    constexpr auto kMost = std::numeric_limits<std::uint64_t>::max();
    proxy::write_http_tunnel({.tunnel = std::make_shared<const TunnelRecord>(record)}, message);
    message.set_idle_timeout_ms(kMost);
    message.mutable_log()->set_started_monotonic_ns(kMost);
    REQUIRE(proxy::read_http_tunnel(message, details));
    CHECK(details.idle_timeout->count() > 0);
    CHECK((std::chrono::steady_clock::now() - details.tunnel->started_at).count() < 0);
  }
}
