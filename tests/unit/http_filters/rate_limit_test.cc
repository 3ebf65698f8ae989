#include "proxy/http/filter/rate_limit/rate_limit.h"

#include "tests/unit/fixture/metrics.h"
#include "tests/unit/http_filters/stream_rig.h"

using namespace baton;
using namespace baton::fixture;
using namespace baton::proxy::http;
using Answer = StreamRig::Answer;
using Kind = LimitSubject::Kind;

namespace {

// A burst of two, and no other for an hour: time plays no part.
RateLimitConfig two(LimitSubject subject = {}) {
  return {.limit = {.interval_ns = 3'600'000'000'000, .burst = 2}, .subject = std::move(subject)};
}

struct RateLimitFixture {
  explicit RateLimitFixture(RateLimitConfig config) : factory(std::move(config)) {}

  bool passes(std::string_view client = "192.0.2.1:1", std::string_view lines = "") {
    const std::string request = "GET / HTTP/1.1\nHost: a\n" + std::string(lines);
    return StreamRig(rig, filter, request, client).reached_router();
  }

  FilterRig rig;
  RateLimitFactory factory;
  MakeHttpFilter filter = rig.bind(factory);
};

}  // namespace

TEST_CASE("rate limit: beyond the burst a request is refused, flagged and counted") {
  RateLimitFixture fixture(two());
  CHECK(fixture.passes());
  CHECK(fixture.passes());
  const StreamRig refused(fixture.rig, fixture.filter, "GET / HTTP/1.1\nHost: a\n");
  CHECK(refused.answer == Answer::Local);
  CHECK(refused.response_head().status == 429);
  CHECK(refused.response_lines("retry-after") == "3600");
  CHECK(refused.info.flags.has(ResponseFlag::RateLimited));
  CHECK(refused.detail == "rate_limited");
  CHECK(metric(*fixture.rig.stats, R"(baton_http_rate_limited_total{listener="web"})") == 1);
}

TEST_CASE("rate limit: a refusal that is over within a second says one second") {
  RateLimitFixture fixture({.limit = {.interval_ns = 500'000'000, .burst = 1}});
  CHECK(fixture.passes());
  const StreamRig refused(fixture.rig, fixture.filter, "GET / HTTP/1.1\nHost: a\n");
  CHECK(refused.response_lines("retry-after") == "1");
}

TEST_CASE("rate limit: what is let through is answered without retry-after") {
  RateLimitFixture fixture(two());
  StreamRig stream(fixture.rig, fixture.filter, "GET / HTTP/1.1\nHost: a\n");
  stream.respond("HTTP/1.1 200 OK\nContent-Length: 1\n");
  CHECK(stream.response_lines("retry-after") == "");
}

TEST_CASE("rate limit: by client address each has a bucket, of IPv6 each /64") {
  RateLimitFixture fixture(two({.kind = Kind::ClientAddress}));
  CHECK(fixture.passes("192.0.2.1:1"));
  CHECK(fixture.passes("192.0.2.1:2"));
  CHECK_FALSE(fixture.passes("192.0.2.1:3"));
  CHECK_FALSE(fixture.passes("[::ffff:192.0.2.1]:3"));
  CHECK(fixture.passes("192.0.2.2:1"));
  CHECK(fixture.passes("[::ffff:192.0.2.3]:1"));
  CHECK(fixture.passes("[2001:db8:0:1::1]:1"));
  CHECK(fixture.passes("[2001:db8:0:1::2]:1"));
  CHECK_FALSE(fixture.passes("[2001:db8:0:1:ffff::]:1"));
  CHECK(fixture.passes("[2001:db8:0:2::1]:1"));
  CHECK(fixture.passes("unix:@a"));
  CHECK(fixture.passes("unix:@b"));
  CHECK_FALSE(fixture.passes("unix:@c"));
}

TEST_CASE("rate limit: by header each value has a bucket; a request without it is not limited") {
  RateLimitFixture fixture(two({.kind = Kind::Header, .header = "x-api-key"}));
  CHECK(fixture.passes("192.0.2.1:1", "X-Api-Key: one\n"));
  CHECK(fixture.passes("192.0.2.2:1", "x-api-key: one\n"));
  CHECK_FALSE(fixture.passes("192.0.2.3:1", "X-API-Key: one\n"));
  CHECK(fixture.passes("192.0.2.1:1", "X-Api-Key: two\n"));
  for (int i = 0; i < 5; ++i) CHECK(fixture.passes());
}

TEST_CASE("rate limit: two generations enforce one limit, even when its figures change") {
  RateLimitFixture fixture(two());
  CHECK(fixture.passes());
  CHECK(fixture.passes());
  RateLimitConfig other = two();
  other.status = 503;
  other.limit.interval_ns -= 1;
  const RateLimitFactory factory(other);
  FilterRig new_generation;
  new_generation.runtime.swap(fixture.rig.runtime);
  const StreamRig stream(new_generation, new_generation.bind(factory), "GET / HTTP/1.1\nHost: a\n");
  CHECK(stream.answer == Answer::Local);
  CHECK(stream.response_head().status == 503);
}

TEST_CASE("rate limit: limits of other listeners and of other places are others") {
  RateLimitFixture fixture(two());
  CHECK(fixture.passes());
  CHECK(fixture.passes());
  fixture.filter = fixture.rig.bind(fixture.factory, 1);
  CHECK(fixture.passes());
  fixture.rig.listener.name = "other";
  fixture.filter = fixture.rig.bind(fixture.factory, 0);
  CHECK(fixture.passes());
}

TEST_CASE("rate limit: its configuration and its mistakes") {
  const auto mistakes = [](std::string_view toml) {
    return parse_filter("rate_limit", toml).mistakes;
  };
  CHECK(mistakes("requests_per_second = 10") == "");
  CHECK(mistakes("requests_per_second = 10\nburst = 1\nby = \"client_address\"\nstatus = 503") ==
        "");
  CHECK(mistakes("requests_per_second = 10\nby = \"header\"\nheader = \"x-api-key\"") == "");
  CHECK(mistakes("") == "f:1:1: requests_per_second: is missing; allowed: 1 to 1000000\n");
  CHECK(mistakes("requests_per_second = 10\nby = \"header\"") ==
        "f:1:1: header: is missing; allowed: the name of a header\n");
  CHECK(mistakes("requests_per_second = 10\nheader = \"x\"") ==
        "f:2:10: header: is not looked at; allowed: together with by = \"header\"\n");
  CHECK(mistakes("requests_per_second = 10\nby = \"header\"\nheader = \"a b\"") ==
        "f:3:10: header: \"a b\" is not a header's name; allowed: \"x-api-key\"\n");
}
