#include "proxy/http/filter/ip_filter/ip_filter.h"

#include "tests/unit/fixture/metrics.h"
#include "tests/unit/http_filters/stream_rig.h"

using namespace baton;
using namespace baton::fixture;
using Answer = StreamRig::Answer;

namespace {

struct IpFilterFixture {
  StreamRig ask_from(std::string_view client) {
    return StreamRig(rig, filter, "GET / HTTP/1.1\nHost: a\n", client);
  }

  FilterRig rig;
  ParsedFilter parsed =
      parse_filter("ip_filter", "allow = [\"10.0.0.0/8\"]\ndeny = [\"10.66.0.0/16\"]");
  proxy::http::MakeHttpFilter filter = rig.bind(*parsed.factory);
};

}  // namespace

TEST_CASE("http ip filter: an admitted client's request goes on") {
  IpFilterFixture fixture;
  const StreamRig stream = fixture.ask_from("10.1.2.3:4");
  CHECK(stream.reached_router());
  CHECK(stream.info.flags.empty());
}

TEST_CASE("http ip filter: a refused client gets 403, flagged and counted") {
  IpFilterFixture fixture;
  for (const char* client : {"10.66.0.1:1", "192.0.2.1:1", "[2001:db8::1]:1", "unix:@x"}) {
    CAPTURE(client);
    const StreamRig stream = fixture.ask_from(client);
    CHECK(stream.answer == Answer::Local);
    CHECK(stream.response_head().status == 403);
    CHECK(stream.info.flags.has(proxy::http::ResponseFlag::Denied));
    CHECK(stream.detail == "ip_denied");
  }
  CHECK(metric(*fixture.rig.stats, R"(baton_http_ip_filter_refused_total{listener="web"})") == 4);
}

TEST_CASE("http ip filter: its mistakes are those of the network filter") {
  CHECK(parse_filter("ip_filter", "").mistakes ==
        "f:1:1: allow: is missing, and so is deny; allowed: either or both\n");
}
