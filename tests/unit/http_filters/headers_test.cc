#include "proxy/http/filter/headers/headers.h"

#include "tests/unit/http_filters/stream_rig.h"

using namespace baton;
using namespace baton::fixture;

namespace {

struct HeadersFixture {
  explicit HeadersFixture(std::string_view toml)
      : parsed(parse_filter("headers", toml)), filter(rig.bind(*parsed.factory)) {
    CHECK(parsed.mistakes == "");
  }

  FilterRig rig;
  ParsedFilter parsed;
  proxy::http::MakeHttpFilter filter;
};

}  // namespace

TEST_CASE("headers: a request's lines are removed, set and added") {
  HeadersFixture fixture(R"([request]
remove = ["x-secret"]
set = { x-env = "prod", x-from = "%CLIENT_ADDRESS%" }
add = { x-tag = "g%GENERATION%" })");
  const StreamRig stream(fixture.rig, fixture.filter,
                         "GET / HTTP/1.1\nHost: a\nx-secret: 1\nx-env: dev\nx-env: test\n"
                         "x-tag: client\n");
  CHECK(stream.request_lines("x-secret") == "");
  CHECK(stream.request_lines("x-env") == "prod");
  CHECK(stream.request_lines("x-from") == "192.0.2.1");
  CHECK(stream.request_lines("x-tag") == "client|g7");
}

TEST_CASE("headers: a request's lines go in every spelling that passes for the name") {
  HeadersFixture fixture(R"(request = { remove = ["x-secret"], set = { x_user = "eve" } }
response = { remove = ["x-secret"] })");
  StreamRig stream(fixture.rig, fixture.filter,
                   "GET / HTTP/1.1\nHost: a\nX_Secret: 1\nX-User: admin\nx_user: mallory\n");
  CHECK(stream.request_lines("X_Secret") == "");
  CHECK(stream.request_lines("X-User") == "");
  CHECK(stream.request_lines("x_user") == "eve");
  stream.respond("HTTP/1.1 200 OK\nContent-Length: 0\nX_Secret: 1\n");
  CHECK(stream.response_lines("X_Secret") == "1");
}

TEST_CASE("headers: a response's are, too, and neither touches the other") {
  HeadersFixture fixture(
      R"(response = { remove = ["server"], set = { x-frame-options = "DENY" } })");
  StreamRig stream(fixture.rig, fixture.filter, "GET / HTTP/1.1\nHost: a\nserver: 1\n");
  CHECK(stream.request_lines("server") == "1");
  stream.respond("HTTP/1.1 200 OK\nContent-Length: 0\nServer: x\n");
  CHECK(stream.response_lines("server") == "");
  CHECK(stream.response_lines("x-frame-options") == "DENY");
}

TEST_CASE("headers: its mistakes have their place") {
  const auto mistakes = [](std::string_view toml) {
    return parse_filter("headers", toml).mistakes;
  };
  CHECK(mistakes("") == "f:1:1: it does nothing; allowed: request, response or both\n");
  const std::string framing = mistakes("response = { remove = [\"content-length\"] }");
  CHECK(framing.starts_with("f:1:24: response.remove: \"content-length\" says where a message"));
}
