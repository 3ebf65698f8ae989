#include "tests/unit/http_filters/stream_rig.h"

using namespace baton;
using namespace baton::fixture;
using Answer = StreamRig::Answer;

namespace {

class HealthFixture {
 public:
  StreamRig ask(std::string_view request) { return StreamRig(rig, filter, request); }

  FilterRig rig;
  ParsedFilter parsed = parse_filter("health", R"(path = "/healthz")");
  proxy::http::MakeHttpFilter filter = rig.bind(*parsed.factory);
};

}  // namespace

TEST_CASE("health: GET and HEAD of its path are answered, whatever the query") {
  HealthFixture fixture;
  for (const char* line : {"GET /healthz", "HEAD /healthz", "GET /healthz?verbose=1"}) {
    CAPTURE(line);
    const StreamRig stream = fixture.ask(std::string(line) + " HTTP/1.1\nHost: a\n");
    CHECK(stream.answer == Answer::Local);
    CHECK(stream.response_head().status == 200);
    CHECK(stream.body == "ok\n");
    CHECK(stream.detail == "health");
  }
}

TEST_CASE("health: other paths and methods are no concern of it") {
  HealthFixture fixture;
  for (const char* line : {"GET /", "GET /healthz/", "GET /Healthz", "POST /healthz"}) {
    CAPTURE(line);
    const StreamRig stream = fixture.ask(std::string(line) + " HTTP/1.1\nHost: a\n");
    CHECK_FALSE(stream.concerned());
    CHECK(stream.reached_router());
  }
}

TEST_CASE("health: while draining it fails, and asks for a new connection") {
  HealthFixture fixture;
  fixture.rig.drain.begin(std::chrono::seconds(10), proxy::DrainStrategy::Gradual);
  StreamRig stream = fixture.ask("GET /healthz HTTP/1.1\nHost: a\n");
  CHECK(stream.response_head().status == 503);
  CHECK(stream.body == "draining\n");
  CHECK(stream.request_head().persistence == proxy::http::Persistence::Close);
}

TEST_CASE("health: it can be told to take a drain for health") {
  FilterRig rig;
  const auto parsed = parse_filter("health", "path = \"/healthz\"\nfail_while_draining = false");
  rig.drain.begin(std::chrono::seconds(10), proxy::DrainStrategy::Gradual);
  const StreamRig stream(rig, rig.bind(*parsed.factory), "GET /healthz HTTP/1.1\nHost: a\n");
  CHECK(stream.response_head().status == 200);
}

TEST_CASE("health: its mistakes have their place") {
  CHECK(parse_filter("health", R"(path = "/healthz")").mistakes == "");
  CHECK(parse_filter("health", "").mistakes ==
        "f:1:1: path: is missing; allowed: \"/healthz\" and the like, without a query\n");
  CHECK(parse_filter("health", R"(path = "/a?b")").mistakes ==
        "f:1:8: path: \"/a?b\" is not a path; allowed: \"/healthz\" and the like, without a "
        "query\n");
}
