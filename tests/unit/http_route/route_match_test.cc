#include "proxy/http/route/route_match.h"

#include <doctest/doctest.h>

#include <utility>

#include "tests/unit/http_route/regex.h"
#include "tests/unit/http_route/request.h"

using namespace baton::proxy::http;
using baton::fixture::regex;
using baton::fixture::Request;

namespace {

bool path_holds(PathMatch match, std::string_view path) {
  const Request request(path);
  return RouteMatch{.path = std::move(match)}.holds(request.head, without_query(path));
}

bool holds(const HeaderMatch& match, const Request& request) {
  return match.holds(request.head.headers);
}

}  // namespace

TEST_CASE("route match: a path is compared as it was sent, without the query") {
  CHECK(path_holds(ExactPath{"/b"}, "/b"));
  CHECK(path_holds(ExactPath{"/b"}, "/b?x=/c"));
  for (const char* other : {"/B", "/b/", "//b", "/a/../b", "/%62", "/", "/bb", "*", ""}) {
    CAPTURE(other);
    CHECK_FALSE(path_holds(ExactPath{"/b"}, other));
  }
}

TEST_CASE("route match: a prefix ends anywhere") {
  CHECK(path_holds(PathPrefix{"/v1"}, "/v1"));
  CHECK(path_holds(PathPrefix{"/v1"}, "/v1/x"));
  CHECK(path_holds(PathPrefix{"/v1"}, "/v1x"));
  CHECK_FALSE(path_holds(PathPrefix{"/v1/"}, "/v1"));
  CHECK_FALSE(path_holds(PathPrefix{"/v1/"}, "/v1?/v1/"));
  CHECK_FALSE(path_holds(PathPrefix{"/"}, "*"));
}

TEST_CASE("route match: a regular expression is for all of the path") {
  CHECK(path_holds(PathRegex{regex("/u/[0-9]+")}, "/u/42?x"));
  CHECK_FALSE(path_holds(PathRegex{regex("/u/[0-9]+")}, "/u/42/x"));
  CHECK_FALSE(path_holds(PathRegex{regex("/u/[0-9]+")}, "/a/u/42"));
}

TEST_CASE("route match: methods are case-sensitive") {
  const RouteMatch match{.methods = {"GET", "PURGE"}};
  CHECK(match.holds(Request("/", "h", "PURGE").head, "/"));
  CHECK_FALSE(match.holds(Request("/", "h", "get").head, "/"));
  CHECK_FALSE(match.holds(Request("/", "h", "POST").head, "/"));
}

TEST_CASE("route match: headers by kind") {
  using Kind = HeaderMatch::Kind;
  Request request("/");
  request.header("X-Tier", "gold-1");
  CHECK(holds({.name = "x-tier", .kind = Kind::Present}, request));
  CHECK_FALSE(holds({.name = "x-tier", .kind = Kind::Absent}, request));
  CHECK(holds({.name = "x-other", .kind = Kind::Absent}, request));
  CHECK_FALSE(holds({.name = "x-other", .kind = Kind::Present}, request));
  CHECK(holds({.name = "x-tier", .kind = Kind::Exact, .text = "gold-1"}, request));
  CHECK_FALSE(holds({.name = "x-tier", .kind = Kind::Exact, .text = "GOLD-1"}, request));
  CHECK(holds({.name = "x-tier", .kind = Kind::Prefix, .text = "gold"}, request));
  CHECK_FALSE(holds({.name = "x-tier", .kind = Kind::Prefix, .text = "silver"}, request));
  CHECK(holds({.name = "x-tier", .kind = Kind::Regex, .regex = regex("gold-\\d")}, request));
  CHECK_FALSE(holds({.name = "x-tier", .kind = Kind::Regex, .regex = regex("gold")}, request));
}

TEST_CASE("route match: one line of several must do, and bytes beyond ASCII are no obstacle") {
  using Kind = HeaderMatch::Kind;
  Request request("/");
  request.header("X-Tier", "one")
      .header("X-Tier", "tw\xff")
      .header("Accept", "a")
      .header("Accept", "b");
  CHECK(holds({.name = "x-tier", .kind = Kind::Regex, .regex = regex("tw.")}, request));
  CHECK(holds({.name = "accept", .kind = Kind::Exact, .text = "b"}, request));
  CHECK_FALSE(holds({.name = "accept", .kind = Kind::Exact, .text = "one"}, request));
}

TEST_CASE("regex: a mistake is told") {
  CHECK(Regex::compile("(").error() == "missing ): (");
  CHECK(Regex::compile("(?=x)").error() == "invalid perl operator: (?=");
  CHECK(regex("a(b)").check_substitution("\\1").empty());
  CHECK(regex("a(b)").check_substitution("\\2") ==
        "Rewrite schema requests 2 matches, but the regexp only has 1 parenthesized "
        "subexpressions.");
}
