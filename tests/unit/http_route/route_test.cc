#include "proxy/http/route/route.h"

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <utility>

#include "tests/unit/http_route/regex.h"
#include "tests/unit/http_route/request.h"

using namespace baton;
using namespace baton::proxy::http;
using fixture::regex;
using fixture::Request;

namespace {

const os::SocketAddress kClient = *os::SocketAddress::parse("192.0.2.7:4711");

Route forwarding(PathMatch path, ForwardAction action) {
  Route route;
  route.match.path = std::move(path);
  route.action = std::move(action);
  return route;
}

std::string rewritten(const Route& route, std::string_view path) {
  Request request(path);
  apply_request(route, request.head, {.client = kClient, .generation = 3});
  return std::string(request.head.path);
}

std::string with_prefix(PathMatch path, std::string prefix, std::string_view asked) {
  return rewritten(forwarding(std::move(path), {.prefix_rewrite = std::move(prefix)}), asked);
}

std::string with_regex(std::string_view pattern, std::string substitution, std::string_view asked) {
  return rewritten(
      forwarding({}, {.regex_rewrite = RegexRewrite{regex(pattern), std::move(substitution)}}),
      asked);
}

std::string redirected(RedirectAction action, std::string_view path, PathMatch match = {},
                       std::string_view host = "example.com", std::string_view scheme = "http") {
  Route route;
  route.match.path = std::move(match);
  route.action = std::move(action);
  return make_redirect_location(route, Request(path, host).head,
                                {.scheme = scheme, .authority = host});
}

}  // namespace

TEST_CASE("route: a prefix is rewritten, the query stays") {
  CHECK(with_prefix(PathPrefix{"/api/"}, "/", "/api/x?y=1") == "/x?y=1");
  CHECK(with_prefix(PathPrefix{"/api"}, "/v2", "/api/x") == "/v2/x");
  CHECK(with_prefix(PathPrefix{"/api"}, "/", "/api") == "/");
  CHECK(with_prefix(PathPrefix{"/api"}, "/", "/api?q") == "/?q");
  CHECK(with_prefix(ExactPath{"/old"}, "/new", "/old?q=/old") == "/new?q=/old");
}

TEST_CASE("route: a rewritten path does not begin with two slashes") {
  CHECK(with_prefix(PathPrefix{"/api"}, "/", "/api/x") == "/x");
}

TEST_CASE("route: a path is rewritten by a regular expression, the query stays") {
  CHECK(with_regex("^/u/([^/]+)/(.*)$", "/\\2/of/\\1", "/u/me/pics?u/x") == "/pics/of/me?u/x");
  CHECK(with_regex("a", "b", "/aa") == "/bb");
  CHECK(with_regex("/none", "/x", "/a?b") == "/a?b");
  CHECK(with_regex("^/", "", "/a") == "/a");
  CHECK(with_regex(".*", "", "/a?b") == "/?b");
}

TEST_CASE("route: what has no path keeps none") {
  const Route route = forwarding({}, {.regex_rewrite = RegexRewrite{regex(".*"), "/x"}});
  CHECK(rewritten(route, "*") == "*");
  CHECK(rewritten(route, "") == "");
}

TEST_CASE("route: the host is rewritten") {
  Request request("/");
  const Route route = forwarding({}, {.host_rewrite = "inner:81"});
  apply_request(route, request.head, {.client = kClient});
  CHECK(request.head.authority == "inner:81");
}

TEST_CASE("route: headers are removed, set and added, in this order") {
  Route route = forwarding({}, {});
  route.request_headers = {
      .remove = {"x-gone", "x-set"},
      .set = {{.name = "X-Set", .value = "new"}, {.name = "X-Only", .value = "one"}},
      .add = {{.name = "X-Add", .value = "%CLIENT_ADDRESS% %GENERATION% %%", .has_variables = true},
              {.name = "X-Add", .value = "2"}}};
  Request request("/");
  request.header("X-Gone", "1").header("X-Only", "a").header("x-gone", "2").header("x-only", "b");
  apply_request(route, request.head, {.client = kClient, .generation = 12});
  CHECK(request.lines() == "X-Only: one|X-Set: new|X-Add: 192.0.2.7 12 %%|X-Add: 2");
}

TEST_CASE("route: a response's headers are edited, too") {
  Route route = forwarding({}, {});
  route.response_headers = {.remove = {"server"}, .add = {{.name = "X-By", .value = "baton"}}};
  ResponseHead head;
  REQUIRE(head.headers.add("Server", "x"));
  apply_response(route, head, {.client = kClient});
  CHECK(head.headers.size() == 1);
  CHECK(head.headers.get("x-by") == "baton");
}

TEST_CASE("header edits: only known variables count") {
  CHECK(names_variables("a %CLIENT_ADDRESS%"));
  CHECK(names_variables("%GENERATION%"));
  CHECK_FALSE(names_variables("100%"));
}

TEST_CASE("route: clusters are chosen in proportion to their weights") {
  const ForwardAction action{.clusters = {{.name = "a", .weight = 1},
                                          {.name = "b", .weight = 0},
                                          {.name = "c", .weight = 3}}};
  std::map<std::string, int> times;
  for (std::uint64_t random = 0; random < 400; ++random) ++times[action.choose(random).name];
  CHECK(times == std::map<std::string, int>{{"a", 100}, {"c", 300}});
}

TEST_CASE("redirect: what it does not name stays as it was asked for") {
  CHECK(redirected({}, "/a?b") == "http://example.com/a?b");
  CHECK(redirected({.scheme = "https"}, "/a?b") == "https://example.com/a?b");
  CHECK(redirected({.host = "new.org:81"}, "/a?b") == "http://new.org:81/a?b");
  CHECK(redirected({.path = "/x"}, "/a?b") == "http://example.com/x?b");
  CHECK(redirected({.path = "/x?c"}, "/a?b") == "http://example.com/x?c");
  CHECK(redirected({.strip_query = true}, "/a?b") == "http://example.com/a");
  CHECK(redirected({}, "*") == "http://example.com/");
}

TEST_CASE("redirect: a prefix, as in a rewrite") {
  CHECK(redirected({.prefix = "/new/"}, "/old/a?b", PathPrefix{"/old/"}) ==
        "http://example.com/new/a?b");
  CHECK(redirected({.prefix = "/"}, "/old/a", PathPrefix{"/old"}) == "http://example.com/a");
  CHECK(redirected({.prefix = "/new"}, "/old?b", ExactPath{"/old"}) == "http://example.com/new?b");
}

TEST_CASE("redirect: a scheme's own port does not go with another scheme") {
  CHECK(redirected({.scheme = "https"}, "/", {}, "example.com:80") == "https://example.com/");
  CHECK(redirected({.scheme = "https"}, "/", {}, "example.com:8080") ==
        "https://example.com:8080/");
  CHECK(redirected({}, "/", {}, "example.com:80") == "http://example.com:80/");
  CHECK(redirected({.scheme = "http"}, "/", {}, "example.com:443", "https") ==
        "http://example.com/");
}

TEST_CASE("redirect: without a host there is only a path, which cannot name one") {
  CHECK(redirected({}, "/a?b", {}, "") == "/a?b");
  CHECK(redirected({}, "///evil.org", {}, "") == "/evil.org");
  CHECK(redirected({}, "//", {}, "") == "/");
}

TEST_CASE("retry: which outcomes are worth another attempt") {
  RetryPolicy policy{.on = static_cast<std::uint8_t>(RetryOn::GatewayError)};
  CHECK(policy.on_status(503));
  CHECK_FALSE(policy.on_status(500));
  CHECK_FALSE(policy.on_connect_failure());
  policy.on = static_cast<std::uint8_t>(RetryOn::ServerError);
  CHECK(policy.on_status(500));
  CHECK(policy.on_connect_failure());
  CHECK(policy.on_reset());
  CHECK_FALSE(policy.on_status(429));
  policy = {.on = static_cast<std::uint8_t>(RetryOn::RetriableCodes), .codes = {429}};
  CHECK(policy.on_status(429));
  CHECK_FALSE(policy.on_status(503));
}

TEST_CASE("retry: what may have had an effect is not repeated unless told") {
  RetryPolicy policy;
  CHECK(policy.may_repeat(Method::Put));
  CHECK_FALSE(policy.may_repeat(Method::Post));
  CHECK_FALSE(policy.may_repeat(Method::Other));
  policy.non_idempotent = true;
  CHECK(policy.may_repeat(Method::Post));
}

TEST_CASE("retry: the budget is a share, but a few are always allowed") {
  const RetryPolicy policy{.budget_percent = 20};
  CHECK(policy.budget_admits(0, 2));
  CHECK_FALSE(policy.budget_admits(0, 3));
  CHECK(policy.budget_admits(100, 19));
  CHECK_FALSE(policy.budget_admits(100, 20));
}

TEST_CASE("hash: the same for the same, nothing for what is not there") {
  Request request("/");
  request.header("X-User", "me").header("Cookie", "xid=9; id=; a=b").header("Cookie", "q; id=7");
  const auto of = [&request](HashPolicy policy) { return policy.hash(request.head, kClient); };
  using Source = HashPolicy::Source;
  const auto me = of({.source = Source::Header, .name = "x-user"});
  REQUIRE(me);
  CHECK(of({.source = Source::Header, .name = "X-USER"}) == me);
  CHECK_FALSE(of({.source = Source::Header, .name = "x-nobody"}));
  CHECK(of({.source = Source::Cookie, .name = "a"}));
  CHECK(of({.source = Source::Cookie, .name = "id"}) !=
        of({.source = Source::Cookie, .name = "xid"}));
  Request other("/");
  other.header("Cookie", "id=7");
  const HashPolicy by_id{.source = Source::Cookie, .name = "id"};
  CHECK(of(by_id) == by_id.hash(other.head, kClient));
  CHECK_FALSE(of({.source = Source::Cookie, .name = "q"}));
}

TEST_CASE("hash: a client's port does not count") {
  const HashPolicy policy{.source = HashPolicy::Source::ClientAddress};
  const Request request("/");
  const auto hash_of = [&](const char* address) {
    return policy.hash(request.head, *os::SocketAddress::parse(address));
  };
  CHECK(hash_of("192.0.2.7:1") == hash_of("192.0.2.7:2"));
  CHECK(hash_of("192.0.2.7:1") == hash_of("[::ffff:192.0.2.7]:2"));
  CHECK(hash_of("192.0.2.7:1") != hash_of("192.0.2.8:1"));
  CHECK_FALSE(hash_of("unix:/x"));
}
