#include "proxy/http/forwarded.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/unit/http_route/request.h"

using namespace baton;
using namespace baton::proxy::http;
using fixture::Request;

namespace {

struct Row {
  const char* what;
  std::uint32_t trusted_hops;
  const char* peer;
  std::vector<const char*> received;  // X-Forwarded-For lines
  const char* client;                 // text(), without a port 0
  const char* sent;                   // the X-Forwarded-For line
};

const std::vector<Row> kRows{
    {"no proxy", 0, "192.0.2.9:5", {}, "192.0.2.9:5", "192.0.2.9"},
    {"a client's list is replaced", 0, "192.0.2.9:5", {"10.0.0.1"}, "192.0.2.9:5", "192.0.2.9"},
    {"... all lines of it", 0, "192.0.2.9:5", {"10.0.0.1", "10.0.0.2"}, "192.0.2.9:5", "192.0.2.9"},
    {"IPv6", 0, "[2001:db8::9]:5", {}, "[2001:db8::9]:5", "2001:db8::9"},
    {"IPv4 in IPv6 form", 0, "[::ffff:192.0.2.9]:5", {}, "[::ffff:192.0.2.9]:5", "192.0.2.9"},
    {"a unix socket without trust", 0, "unix:/x", {"10.0.0.1"}, "unix:/x", ""},
    {"one proxy", 1, "10.0.0.5:5", {"192.0.2.1"}, "192.0.2.1:0", "192.0.2.1, 10.0.0.5"},
    {"a spoofed entry ahead",
     1,
     "10.0.0.5:5",
     {"6.6.6.6, 192.0.2.1"},
     "192.0.2.1:0",
     "6.6.6.6, 192.0.2.1, 10.0.0.5"},
    {"a spoofed line ahead",
     1,
     "10.0.0.5:5",
     {"6.6.6.6", "192.0.2.1"},
     "192.0.2.1:0",
     "6.6.6.6, 192.0.2.1, 10.0.0.5"},
    {"two proxies",
     2,
     "10.0.0.5:5",
     {"192.0.2.1, 10.0.0.4"},
     "192.0.2.1:0",
     "192.0.2.1, 10.0.0.4, 10.0.0.5"},
    {"two proxies, over lines",
     2,
     "10.0.0.5:5",
     {"6.6.6.6,192.0.2.1", "10.0.0.4"},
     "192.0.2.1:0",
     "6.6.6.6,192.0.2.1, 10.0.0.4, 10.0.0.5"},
    {"a proxy was gone around", 2, "10.0.0.5:5", {"6.6.6.6"}, "10.0.0.5:5", "6.6.6.6, 10.0.0.5"},
    {"a trusted proxy sent nothing", 1, "10.0.0.5:5", {}, "10.0.0.5:5", "10.0.0.5"},
    {"no address at the place",
     1,
     "10.0.0.5:5",
     {"192.0.2.1, unknown"},
     "10.0.0.5:5",
     "192.0.2.1, unknown, 10.0.0.5"},
    {"an empty element at the place",
     1,
     "10.0.0.5:5",
     {"192.0.2.1,"},
     "10.0.0.5:5",
     "192.0.2.1,, 10.0.0.5"},
    {"a path is no address", 1, "10.0.0.5:5", {"unix:/x"}, "10.0.0.5:5", "unix:/x, 10.0.0.5"},
    {"with a port", 1, "10.0.0.5:5", {"192.0.2.1:77"}, "192.0.2.1:77", "192.0.2.1:77, 10.0.0.5"},
    {"IPv6 at the place",
     1,
     "10.0.0.5:5",
     {"2001:db8::1"},
     "[2001:db8::1]:0",
     "2001:db8::1, 10.0.0.5"},
    {"IPv6 in brackets",
     1,
     "10.0.0.5:5",
     {"[2001:db8::1]"},
     "[2001:db8::1]:0",
     "[2001:db8::1], 10.0.0.5"},
    {"IPv6 with a port",
     1,
     "10.0.0.5:5",
     {"[2001:db8::1]:77"},
     "[2001:db8::1]:77",
     "[2001:db8::1]:77, 10.0.0.5"},
    {"a proxy on a unix socket", 1, "unix:/x", {"192.0.2.1"}, "192.0.2.1:0", "192.0.2.1"},
};

}  // namespace

TEST_CASE("forwarded: the client's address and the list that is sent on") {
  for (const Row& row : kRows) {
    CAPTURE(row.what);
    Request request("/");
    for (const char* line : row.received) request.header("X-Forwarded-For", line);
    const auto peer = os::SocketAddress::parse(row.peer);
    REQUIRE(peer);
    const ForwardedConfig config{.trusted_hops = row.trusted_hops};
    CHECK(client_address(request.head, *peer, config).text() == row.client);
    update_forwarded(request.head, *peer, "http", config);
    CHECK(request.head.headers.get(HeaderId::XForwardedFor) == row.sent);
    CHECK_FALSE(request.head.headers.repeated(HeaderId::XForwardedFor));
  }
}

TEST_CASE("forwarded: without trusted hops nothing that a client claims is left") {
  Request request("/", "www.example.com:8080");
  for (const char* name : {"X-Forwarded-Proto", "x-forwarded-host", "X-Forwarded-Port", "X-Real-IP",
                           "Forwarded", "X-Forwarded-For"}) {
    request.header(name, "claim");
  }
  update_forwarded(request.head, *os::SocketAddress::parse("192.0.2.9:5"), "https", {});
  CHECK(request.lines() ==
        "x-forwarded-for: 192.0.2.9|x-forwarded-proto: https|"
        "x-forwarded-host: www.example.com:8080");
}

TEST_CASE("forwarded: lookalikes of what is said about the client go, whoever is trusted") {
  for (const std::uint32_t trusted_hops : {0U, 1U}) {
    CAPTURE(trusted_hops);
    Request request("/");
    for (const char* name : {"X_Forwarded_For", "x-forwarded_for", "X_FORWARDED_PROTO",
                             "X_Forwarded_Host", "X-Forwarded_Port", "X_Real_IP"}) {
      request.header(name, "6.6.6.6");
    }
    request.header("X_Other", "1");
    update_forwarded(request.head, *os::SocketAddress::parse("192.0.2.9:5"), "http",
                     {.trusted_hops = trusted_hops});
    CHECK(request.lines() ==
          "X_Other: 1|x-forwarded-for: 192.0.2.9|x-forwarded-proto: http|"
          "x-forwarded-host: example.com");
  }
}

TEST_CASE("forwarded: what a trusted proxy has set stays") {
  Request request("/");
  request.header("X-Forwarded-Proto", "https").header("X-Forwarded-Host", "outer.example.com");
  request.header("X-Real-IP", "192.0.2.1").header("Forwarded", "for=192.0.2.1");
  update_forwarded(request.head, *os::SocketAddress::parse("10.0.0.5:5"), "http",
                   {.trusted_hops = 1});
  CHECK(request.lines() ==
        "X-Forwarded-Proto: https|X-Forwarded-Host: outer.example.com|X-Real-IP: 192.0.2.1|"
        "Forwarded: for=192.0.2.1|x-forwarded-for: 10.0.0.5");
}

TEST_CASE("forwarded: what the client has used is a trusted proxy's word, then the target's") {
  struct Case {
    std::uint32_t trusted_hops;
    const char* target;
    std::vector<const char*> proto;
    std::vector<const char*> host;
    const char* url;
  };
  const std::vector<Case> cases{
      {0, "/", {"https"}, {"evil.example.com"}, "http://a"},
      {0, "https://a/", {}, {}, "https://a"},
      {0, "HTTPS://a/", {}, {}, "https://a"},
      {0, "http://a/", {"https"}, {}, "http://a"},
      {1, "/", {"https"}, {"www.example.com"}, "https://www.example.com"},
      {1, "/", {"HTTPS"}, {"www.example.com:8443"}, "https://www.example.com:8443"},
      {1, "/", {}, {}, "http://a"},
      {1, "/", {"wss"}, {"a b"}, "http://a"},
      {1, "/", {"http, https"}, {"evil, www"}, "https://www"},
      {1, "/", {"http", "https"}, {"evil", "www"}, "https://www"},
      {2, "/", {"https,http"}, {"www, inner"}, "https://www"},
      {2, "/", {"https"}, {"www"}, "https://www"},
      {1, "https://a/", {}, {}, "https://a"},
  };
  for (const Case& each : cases) {
    Request request("/", "a");
    request.head.target = each.target;
    for (const char* line : each.proto) request.header("X-Forwarded-Proto", line);
    for (const char* line : each.host) request.header("X-Forwarded-Host", line);
    CAPTURE(each.target);
    CAPTURE(request.lines());
    const ForwardedConfig config{.trusted_hops = each.trusted_hops};
    const auto url = [&] {
      return std::string(client_scheme(request.head, "http", config)) + "://" +
             std::string(client_authority(request.head, config));
    };
    CHECK(url() == each.url);
    update_forwarded(request.head, *os::SocketAddress::parse("192.0.2.9:5"), "http", config);
    CHECK(url() == each.url);
  }
}

TEST_CASE("forwarded: a request without a host has no X-Forwarded-Host") {
  Request request("/", "");
  update_forwarded(request.head, *os::SocketAddress::parse("192.0.2.9:5"), "http", {});
  CHECK(request.lines() == "x-forwarded-for: 192.0.2.9|x-forwarded-proto: http");
}
