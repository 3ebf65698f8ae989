#include "proxy/http/access_log/access_log_format.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <string>
#include <utility>

#include "proxy/upstream/endpoint.h"
#include "tests/unit/http_route/request.h"

using namespace baton;
using namespace baton::proxy::http;
using namespace std::chrono_literals;
using fixture::Request;

namespace {

// A request that has everything.
struct Logged {
  Logged() {
    request.head.target = "/a?b";
    request.header("User-Agent", "curl/8").header("X-Request-Id", "id-1");
    REQUIRE(response.headers.add("Content-Type", "text/html"));
    stream.started = std::chrono::system_clock::time_point(1'769'862'896'007ms);
    stream.upstream_time = 11'900us;
    stream.duration = 15'400us;
    stream.client = *os::SocketAddress::parse("192.0.2.7:4711");
    stream.received_bytes = 5;
    stream.sent_bytes = 1234;
    stream.status = 503;
    stream.attempts = 2;
    stream.flags.set(ResponseFlag::UpstreamReset);
    stream.flags.set(ResponseFlag::RetryLimitExceeded);
    stream.flag_detail = "detail";
    stream.cluster = "api";
    stream.route = "front";
    stream.endpoint = std::make_shared<const proxy::Endpoint>(
        proxy::Endpoint{.address = *os::SocketAddress::parse("10.0.0.1:80")});
  }

  std::string as(const AccessLogFormat& format) const {
    std::string line;
    format.render(line, stream, request.head, &response);
    return line;
  }
  // Without the line's end.
  std::string text(std::string_view format) const {
    const auto compiled = AccessLogFormat::text(format);
    REQUIRE(compiled);
    std::string line = as(compiled->bound("web", 8));
    REQUIRE(line.ends_with('\n'));
    line.pop_back();
    CHECK(line.find('\n') == line.npos);
    return line;
  }
  std::string json(const std::vector<AccessLogFormat::Field>& fields) const {
    const auto compiled = AccessLogFormat::json(fields);
    REQUIRE(compiled);
    std::string line = as(compiled->bound("web", 8));
    REQUIRE(line.ends_with('\n'));
    line.pop_back();
    return line;
  }

  Request request{"/rewritten", "www.example.com", "POST"};
  ResponseHead response;
  StreamInfo stream;
};

std::string mistake(std::string_view format) {
  const auto compiled = AccessLogFormat::text(format);
  REQUIRE_FALSE(compiled);
  return compiled.error().substr(0, compiled.error().find(';'));
}

std::string every_byte() {
  std::string text;
  for (int c = 0; c < 256; ++c) text += static_cast<char>(c);
  return text;
}

}  // namespace

TEST_CASE("access log: every operator says what it is for") {
  const std::vector<std::pair<std::string, std::string>> rows{
      {"%AUTHORITY%", "www.example.com"},
      {"%BYTES_RECEIVED%", "5"},
      {"%BYTES_SENT%", "1234"},
      {"%DOWNSTREAM_REMOTE_ADDRESS%", "192.0.2.7:4711"},
      {"%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", "192.0.2.7"},
      {"%DURATION%", "15"},
      {"%GENERATION%", "8"},
      {"%LISTENER%", "web"},
      {"%METHOD%", "POST"},
      {"%PATH%", "/a?b"},
      {"%PROTOCOL%", "HTTP/1.1"},
      {"%REQ(user-agent)%", "curl/8"},
      {"%REQ(X-None?User-Agent)%", "curl/8"},
      {"%REQ(User-Agent):4%", "curl"},
      {"%REQ(:METHOD)% %REQ(:PATH)% %REQ(:AUTHORITY)%", "POST /rewritten www.example.com"},
      {"%REQ(Host)% %REQ(host)%", "www.example.com www.example.com"},
      {"%REQ(X-Envoy-Original-Path?:PATH)%", "/rewritten"},
      {"%REQUEST_ID%", "id-1"},
      {"%RESP(Content-Type)%", "text/html"},
      {"%RESP(X-None?Content-Type)%", "text/html"},
      {"%RESPONSE_CODE%", "503"},
      {"%RESPONSE_CODE_DETAILS%", "detail"},
      {"%RESPONSE_FLAGS%", "UC,URX"},
      {"%ROUTE_NAME%", "front"},
      {"%START_TIME%", "2026-01-31T12:34:56.007Z"},
      {"%UPSTREAM_CLUSTER%", "api"},
      {"%UPSTREAM_HOST%", "10.0.0.1:80"},
      {"%UPSTREAM_REQUEST_ATTEMPT_COUNT%", "2"},
      {"%UPSTREAM_SERVICE_TIME%", "11"},
      {"100%% \"%METHOD%\"\t%METHOD%", "100% \"POST\"\tPOST"},
      {"", ""},
      {"a line's end is no mistake\n", "a line's end is no mistake"},
  };
  const Logged logged;
  for (const auto& [format, expected] : rows) {
    CAPTURE(format);
    CHECK(logged.text(format) == expected);
  }
}

TEST_CASE("access log: the default format") {
  CHECK(Logged().text(AccessLogFormat::kDefault) ==
        R"([2026-01-31T12:34:56.007Z] "POST /a?b HTTP/1.1" 503 UC,URX detail 5 1234 15 11 "-" )"
        R"("curl/8" "id-1" "www.example.com" "10.0.0.1:80")");
}

TEST_CASE("access log: what is missing is a dash, and null in JSON") {
  const auto format = AccessLogFormat::text(AccessLogFormat::kDefault);
  REQUIRE(format);
  std::string line;
  format->render(line, StreamInfo{}, RequestHead{}, nullptr);
  CHECK(line ==
        "[1970-01-01T00:00:00.000Z] \"- - -\" 0 - - 0 0 0 - \"-\" \"-\" \"-\" \"-\" \"-\"\n");
  const auto json = AccessLogFormat::json({{"h", "%UPSTREAM_HOST%"},
                                           {"t", "%UPSTREAM_SERVICE_TIME%"},
                                           {"r", "%RESP(A)%"},
                                           {"c", "%DOWNSTREAM_REMOTE_ADDRESS%"},
                                           {"m", "<%METHOD%>"}});
  REQUIRE(json);
  line.clear();
  json->render(line, StreamInfo{}, RequestHead{}, nullptr);
  CHECK(line == "{\"h\":null,\"t\":null,\"r\":null,\"c\":null,\"m\":\"<->\"}\n");
}

TEST_CASE("access log: a client without a port has none") {
  Logged logged;
  logged.stream.client = *os::SocketAddress::parse("[2001:db8::1]:0");
  CHECK(logged.text("%DOWNSTREAM_REMOTE_ADDRESS%") == "2001:db8::1");
  logged.stream.client = *os::SocketAddress::parse("unix:/x");
  CHECK(logged.text("%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%") == "unix:/x");
}

TEST_CASE("access log: no client can forge a line or a field") {
  Logged logged;
  const std::string bytes = every_byte();
  logged.request.head.target = "/\" 200 - \"x\n[2026] \"GET / HTTP/1.1\\";
  CHECK(logged.text("\"%PATH%\"") == R"("/\x22 200 - \x22x\x0a[2026] \x22GET / HTTP/1.1\x5c")");
  logged.request.head.target = bytes;
  for (const char c : logged.text("%PATH%")) {
    CHECK((c >= 0x20 && c < 0x7f && c != '"'));
  }
}

TEST_CASE("access log: JSON has numbers, strings and null, and text around operators") {
  CHECK(Logged().json({{"code", "%RESPONSE_CODE%"},
                       {"host", "%UPSTREAM_HOST%"},
                       {"none", "%RESP(X-None)%"},
                       {"line", "%METHOD% \"%PATH%\" %RESP(X-None)%"},
                       {"gen", "%GENERATION%"},
                       {"on", "%LISTENER%"},
                       {"a\"b", "plain"},
                       {"both", "%LISTENER%:%GENERATION%"}}) ==
        R"({"code":503,"host":"10.0.0.1:80","none":null,"line":"POST \"/a?b\" -","gen":8,)"
        R"("on":"web","a\"b":"plain","both":"web:8"})");
  CHECK(Logged().json({}) == "{}");
}

TEST_CASE("access log: JSON stays valid whatever a client sends") {
  Logged logged;
  const std::vector<std::string> texts{every_byte(),
                                       "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
                                       "\xc0\x80",
                                       "\xed\xa0\x80",
                                       "\xf4\x90\x80\x80",
                                       "\xe2\x82",
                                       "\xc3",
                                       std::string("\0\"\\\x7f", 4)};
  for (const std::string& text : texts) {
    CAPTURE(text);
    logged.request.head.target = text;
    const std::string line = logged.json({{"path", "%PATH%"}, {"cut", "%PATH:1%"}});
    CHECK(std::ranges::none_of(line, [](char c) { return c >= 0 && c < 0x20; }));
    CHECK(nlohmann::json::accept(line));
  }
  logged.request.head.target = texts[1];
  CHECK(nlohmann::json::parse(logged.json({{"path", "%PATH%"}}))["path"] == texts[1]);
  logged.request.head.target =
      "a\xff\xe2\x82"
      "b";
  CHECK(logged.json({{"path", "%PATH%"}}) == R"({"path":"a\ufffd\ufffd\ufffdb"})");
}

TEST_CASE("access log: mistakes of a format") {
  CHECK(mistake("%") == "has a single percent sign");
  CHECK(mistake("%METHOD") == "has a single percent sign");
  CHECK(mistake("%NOPE%") == "has an unknown operator");
  CHECK(mistake("%method%") == "has an unknown operator");
  CHECK(mistake("%REQ%") == "has a %REQ% without a header's name");
  CHECK(mistake("%REQ()%") == "has a %REQ% without a header's name");
  CHECK(mistake("%REQ(a b)%") == "has a %REQ% without a header's name");
  CHECK(mistake("%REQ(:NOPE)%") == "has a %REQ% without a header's name");
  CHECK(mistake("%RESP(a?)%") == "has a %RESP% without a header's name");
  CHECK(mistake("%RESP(:PATH)%") == "has a %RESP% without a header's name");
  CHECK(mistake("%PATH:0%") == "has something behind the name of %PATH%");
  CHECK(mistake("%PATH:%") == "has something behind the name of %PATH%");
  CHECK(mistake("%PATH(x)%") == "has something behind the name of %PATH%");
  CHECK(mistake("a\nb") == "has a control character");
  CHECK_FALSE(AccessLogFormat::json({{"a", "%NOPE%"}}));
}

TEST_CASE("access log: it tells whether header lines have to be kept") {
  CHECK_FALSE(AccessLogFormat::text("%METHOD% %RESPONSE_CODE%")->reads_headers());
  CHECK(AccessLogFormat::text("%REQ(A)%")->reads_headers());
  CHECK(AccessLogFormat::text("%RESP(A)%")->reads_headers());
  CHECK(AccessLogFormat::text("%REQUEST_ID%")->reads_headers());
}
