#include "proxy/http/filter/request_id/request_id.h"

#include <set>

#include "tests/unit/http_filters/stream_rig.h"

using namespace baton;
using namespace baton::fixture;
using namespace baton::proxy::http;

namespace {

constexpr std::string_view kWithoutId = "GET / HTTP/1.1\nHost: a\n";
constexpr std::string_view kWithId = "GET / HTTP/1.1\nHost: a\nX-Request-Id: mine-1\n";

struct RequestIdFixture {
  explicit RequestIdFixture(std::string_view toml)
      : parsed(parse_filter("request_id", toml)), filter(rig.bind(*parsed.factory)) {}

  std::string id_of(std::string_view request) {
    return StreamRig(rig, filter, request).request_lines("x-request-id");
  }

  FilterRig rig;
  ParsedFilter parsed;
  MakeHttpFilter filter;
};

bool is_uuid4(std::string_view id) {
  if (id.size() != 36 || id[14] != '4' || std::string_view("89ab").find(id[19]) == id.npos) {
    return false;
  }
  for (std::size_t i = 0; i < id.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    const std::string_view allowed = dash ? "-" : "0123456789abcdef";
    if (allowed.find(id[i]) == std::string_view::npos) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("request id: ids are version 4 UUIDs, and no two are alike, in no worker") {
  std::set<std::string> ids;
  for (int worker = 0; worker < 4; ++worker) {
    RequestIdSource source;
    for (int i = 0; i < 1000; ++i) {
      const auto text = source.next();
      const std::string id(text.data(), text.size());
      CHECK(is_uuid4(id));
      ids.insert(id);
    }
  }
  CHECK(ids.size() == 4000);
}

TEST_CASE("request id: each request gets one; what a client sends is replaced unless trusted") {
  RequestIdFixture fixture("");
  CHECK(is_uuid4(fixture.id_of(kWithoutId)));
  CHECK(fixture.id_of(kWithoutId) != fixture.id_of(kWithoutId));
  CHECK(is_uuid4(fixture.id_of(kWithId)));
}

TEST_CASE("request id: a lookalike of it is not passed on, trusted or not") {
  for (const std::string_view toml : {"", "trust = true"}) {
    RequestIdFixture fixture(toml);
    const StreamRig stream(fixture.rig, fixture.filter,
                           "GET / HTTP/1.1\nHost: a\nX_Request_Id: 1\nX-Request-Id: 2\n");
    CHECK(stream.request_lines("X_Request_Id") == "");
    CHECK(stream.request_lines("x-request-id") != "");
  }
}

TEST_CASE("request id: a trusted client's id is kept, if it is one") {
  RequestIdFixture fixture("trust = true");
  CHECK(fixture.id_of(kWithId) == "mine-1");
  CHECK(is_uuid4(fixture.id_of(kWithoutId)));
  const std::string head = "GET / HTTP/1.1\nHost: a\n";
  CHECK(is_uuid4(fixture.id_of(head + "X-Request-Id: a b\n")));
  CHECK(is_uuid4(fixture.id_of(head + "X-Request-Id: \n")));
  CHECK(is_uuid4(fixture.id_of(head + "X-Request-Id: " + std::string(129, 'a') + "\n")));
  CHECK(is_uuid4(fixture.id_of(head + "X-Request-Id: a\nX-Request-Id: b\n")));
  CHECK(fixture.id_of(head + "X-Request-Id: " + std::string(128, 'a') + "\n").size() == 128);
}

TEST_CASE("request id: the response names it when asked for, whatever the upstream says") {
  for (const bool asked : {false, true}) {
    RequestIdFixture fixture(asked ? "response = true" : "");
    StreamRig stream(fixture.rig, fixture.filter, kWithoutId);
    stream.respond("HTTP/1.1 200 OK\nContent-Length: 0\nX-Request-Id: other\n");
    CHECK(stream.response_lines("x-request-id") ==
          (asked ? stream.request_lines("x-request-id") : "other"));
  }
}
