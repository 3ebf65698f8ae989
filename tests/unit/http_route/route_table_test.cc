#include "proxy/http/route/route_table.h"

#include <doctest/doctest.h>

#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "proxy/http/codec/authority.h"
#include "tests/unit/http_route/request.h"

using namespace baton::proxy::http;
using baton::fixture::Request;

namespace {

Route route(std::string name, std::string host, PathMatch path = {}) {
  Route made;
  made.name = std::move(name);
  made.match = {.host = std::move(host), .path = std::move(path)};
  made.action = DirectResponseAction{};
  return made;
}

std::string matched(const RouteTable& table, const Request& request) {
  const Route* const found = table.match(request.head);
  return found != nullptr ? found->name : "none";
}

}  // namespace

TEST_CASE("route table: the first route that matches wins") {
  const RouteTable table({route("a", "", ExactPath{"/x"}), route("b", "example.com"),
                          route("c", "", PathPrefix{"/"}), route("d", "")});
  CHECK(matched(table, Request("/x")) == "a");
  CHECK(matched(table, Request("/y")) == "b");
  CHECK(matched(table, Request("/x", "other")) == "a");
  CHECK(matched(table, Request("/y", "other")) == "c");
  CHECK(matched(table, Request("*", "other", "OPTIONS")) == "d");
  CHECK(matched(table, Request("", "other:443", "CONNECT")) == "d");
}

TEST_CASE("route table: no route, no match") {
  CHECK(matched(RouteTable({}), Request("/")) == "none");
  CHECK(matched(RouteTable({route("a", "a.example.com")}), Request("/")) == "none");
}

TEST_CASE("route table: hosts in any case, without the port, exact or below a wildcard") {
  const RouteTable table({route("wide", "*.com"), route("exact", "a.example.org"),
                          route("wild", "*.example.org"), route("six", "[2001:db8::1]"),
                          route("any", "")});
  const std::vector<std::pair<std::string, std::string>> rows{
      {"a.example.org", "exact"},
      {"A.Example.ORG", "exact"},
      {"a.example.org:8080", "exact"},
      {"b.example.org", "wild"},
      {"b.a.example.org", "wild"},
      {"B.EXAMPLE.org:1", "wild"},
      {"example.org", "any"},
      {"xexample.org", "any"},
      {".example.org", "any"},
      {"a.example.org.", "any"},
      {"x.y.com", "wide"},
      {"com", "any"},
      {"[2001:DB8::1]", "six"},
      {"[2001:db8::1]:80", "six"},
      {"", "any"},
      {std::string(250, 'a') + ".com", "any"},
      {std::string(249, 'a') + ".com", "wide"},
  };
  for (const auto& [host, expected] : rows) {
    CAPTURE(host);
    CHECK(matched(table, Request("/", host)) == expected);
  }
}

TEST_CASE("route table: a wide wildcard ahead of a narrow one, and of an exact host, wins") {
  const RouteTable table({route("wide-x", "*.org", ExactPath{"/x"}),
                          route("narrow", "*.example.org", ExactPath{"/y"}),
                          route("exact", "a.example.org"), route("wide", "*.org")});
  CHECK(matched(table, Request("/x", "a.example.org")) == "wide-x");
  CHECK(matched(table, Request("/y", "a.example.org")) == "narrow");
  CHECK(matched(table, Request("/z", "a.example.org")) == "exact");
  CHECK(matched(table, Request("/y", "b.example.org")) == "narrow");
  CHECK(matched(table, Request("/z", "b.example.org")) == "wide");
}

TEST_CASE("route table: it finds what walking all routes finds") {
  std::minstd_rand random(1);
  const auto one_of = [&random](const std::vector<std::string>& texts) {
    return texts[random() % texts.size()];
  };
  const std::vector<std::string> hosts{"",        "a.b.c", "b.c", "*.b.c", "*.c",
                                       "x.a.b.c", "*.d",   "d",   "e.d",   "*.a.b.c"};
  const std::vector<std::string> paths{"/",         "/a",         "/ab",       "/abcdefg",
                                       "/abcdefgh", "/abcdefghi", "/abcdefgx", "/a/"};
  const std::vector<std::string> asked{"a.b.c", "b.c", "x.a.b.c", "y.b.c", "c",      "d",
                                       "e.d",   "f.d", "z",       "",      "q.a.b.c"};
  for (int round = 0; round < 200; ++round) {
    std::vector<Route> routes;
    for (int i = 0; i < 30; ++i) {
      const std::string path = one_of(paths);
      const std::vector<PathMatch> matches{std::monostate(), ExactPath{path}, PathPrefix{path}};
      routes.push_back(route(std::to_string(i), one_of(hosts), matches[random() % 3]));
    }
    const RouteTable table(std::move(routes));
    for (int i = 0; i < 100; ++i) {
      const Request request(one_of(paths), one_of(asked));
      std::string expected = "none";
      for (const Route& candidate : table.routes()) {
        const std::string& host = candidate.match.host;
        const std::string_view authority = request.head.authority;
        const bool host_holds = host.empty() || host == authority ||
                                (host.starts_with('*') && authority.size() >= host.size() &&
                                 authority.ends_with(std::string_view(host).substr(1)));
        if (!host_holds || !candidate.match.holds(request.head, request.head.path)) continue;
        expected = candidate.name;
        break;
      }
      REQUIRE(matched(table, request) == expected);
    }
  }
}

TEST_CASE("route table: clusters are numbered, each once") {
  const auto to = [](std::vector<WeightedCluster> clusters) {
    Route made;
    made.action = ForwardAction{.clusters = std::move(clusters)};
    return made;
  };
  const RouteTable table({to({{.name = "a"}, {.name = "b"}}), route("none", ""),
                          to({{.name = "b"}}), to({{.name = "c"}})});
  CHECK(table.clusters() == std::vector<std::string>{"a", "b", "c"});
  CHECK(table.routes()[2].index == 2);
  CHECK(table.routes()[2].forward()->clusters[0].index == 1);
  CHECK(table.routes()[3].forward()->clusters[0].index == 2);
}

TEST_CASE("route table: one cluster for everything") {
  const auto table = RouteTable::to_cluster("api");
  const Route* const found = table->match(Request("", "", "CONNECT").head);
  REQUIRE(found != nullptr);
  REQUIRE(found->forward() != nullptr);
  CHECK(found->forward()->choose(7).name == "api");
  CHECK(found->forward()->timeout == std::chrono::seconds(15));
}
