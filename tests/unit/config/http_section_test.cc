#include "proxy/config/http_section.h"

#include <doctest/doctest.h>

#include <string>

#include "proxy/http/access_log/access_log_format.h"
#include "proxy/http/route/route_table.h"
#include "tests/unit/config/http_listener.h"

using namespace baton::proxy;
using namespace std::chrono_literals;
using baton::fixture::ReadHttp;

namespace {

http::HttpConfig loaded(std::string_view toml) {
  const ReadHttp read(toml);
  CHECK(read.errors == "");
  REQUIRE(read.listener.config);
  return *read.listener.config;
}

// Of a listener with one route.
http::Route route(std::string_view toml) {
  const http::HttpConfig config = loaded("[[listener.route]]\n" + std::string(toml));
  REQUIRE(config.routes);
  REQUIRE(config.routes->routes().size() == 1);
  return config.routes->routes().front();
}

http::ForwardAction forward(std::string_view toml) {
  const http::Route read = route(toml);
  REQUIRE(read.forward() != nullptr);
  return *read.forward();
}

}  // namespace

TEST_CASE("http listener: what a file leaves out has its default") {
  const http::HttpConfig config = loaded("cluster = \"a\"");
  CHECK(config.limits.start_line_bytes == 8 * 1024);
  CHECK(config.limits.header_bytes == 32 * 1024);
  CHECK(config.limits.header_count == 100);
  CHECK(config.limits.body_bytes == UINT64_MAX);
  CHECK(config.timeouts.header == 15s);
  CHECK_FALSE(config.timeouts.request);
  CHECK(config.timeouts.keep_alive == 75s);
  CHECK(config.timeouts.stream_idle == 5min);
  CHECK(config.forwarded.trusted_hops == 0);
  CHECK(config.max_requests_per_connection == 0);
  CHECK(config.upgrades == std::vector<std::string>{"websocket"});
  CHECK_FALSE(config.connect);
  CHECK_FALSE(config.access_log);
  CHECK(config.filters.empty());
  REQUIRE(config.routes);
  CHECK(config.routes->clusters() == std::vector<std::string>{"a"});
}

TEST_CASE("http listener: every key of [listener.http] arrives") {
  const http::HttpConfig config = loaded(R"(
cluster = "a"
[listener.http]
request_line_bytes = "4KiB"
header_bytes = "16KiB"
header_count = 50
body_bytes = "10MiB"
header_timeout = "5s"
request_timeout = "1m"
keep_alive_timeout = "0"
stream_idle_timeout = "0"
half_close_timeout = "10s"
trusted_hops = 2
max_requests_per_connection = 1000
upgrades = ["WebSocket", "spdy/3"]
connect = true
)" + std::string());
  CHECK(config.limits.start_line_bytes == 4096);
  CHECK(config.limits.header_bytes == 16384);
  CHECK(config.limits.header_count == 50);
  CHECK(config.limits.body_bytes == 10 * 1024 * 1024);
  CHECK(config.timeouts.header == 5s);
  CHECK(config.timeouts.request == 1min);
  CHECK_FALSE(config.timeouts.keep_alive);
  CHECK_FALSE(config.timeouts.stream_idle);
  CHECK(config.timeouts.half_close == 10s);
  CHECK(config.forwarded.trusted_hops == 2);
  CHECK(config.max_requests_per_connection == 1000);
  CHECK(config.upgrades == std::vector<std::string>{"websocket", "spdy/3"});
  CHECK(config.connect);
}

TEST_CASE("http listener: filters of connections and of requests go their ways") {
  const ReadHttp read(R"(
cluster = "a"
[[listener.filter]]
type = "tag"
[[listener.filter]]
type = "direct_response"
word = "x"
[[listener.filter]]
type = "mark"
word = "y"
)");
  CHECK(read.errors == "");
  CHECK(read.listener.network_filters.size() == 1);
  CHECK(read.listener.config->filters.size() == 2);
}

TEST_CASE("http route: every condition arrives") {
  using Kind = http::HeaderMatch::Kind;
  const http::Route read = route(R"(
name = "front"
host = "*.Example.COM"
path_prefix = "/v1/"
methods = ["GET", "PURGE"]
headers = [
  { name = "X-A", exact = "1" }, { name = "X-B", prefix = "2" }, { name = "X-C", regex = "3+" },
  { name = "X-D", present = true }, { name = "X-E", present = false },
]
cluster = "a"
)");
  CHECK(read.name == "front");
  CHECK(read.match.host == "*.example.com");
  CHECK(std::get<http::PathPrefix>(read.match.path).prefix == "/v1/");
  CHECK(read.match.methods == std::vector<std::string>{"GET", "PURGE"});
  REQUIRE(read.match.headers.size() == 5);
  CHECK(read.match.headers[0].name == "X-A");
  CHECK(read.match.headers[0].kind == Kind::Exact);
  CHECK(read.match.headers[0].text == "1");
  CHECK(read.match.headers[1].kind == Kind::Prefix);
  CHECK(read.match.headers[2].kind == Kind::Regex);
  CHECK(read.match.headers[2].regex->matches("333"));
  CHECK(read.match.headers[3].kind == Kind::Present);
  CHECK(read.match.headers[4].kind == Kind::Absent);
}

TEST_CASE("http route: the kinds of paths") {
  const auto path = [](const char* toml) {
    return route(std::string(toml) + "\ncluster = \"a\"").match.path;
  };
  CHECK(std::get<http::ExactPath>(path("path = \"/x\"")).path == "/x");
  CHECK(std::get<http::ExactPath>(path("path = \"*\"")).path == "*");
  CHECK(std::get<http::PathRegex>(path("path_regex = '/[a-z]+'")).regex.matches("/abc"));
  CHECK(std::holds_alternative<std::monostate>(path("")));
}

TEST_CASE("http route: every key of what is forwarded arrives") {
  using http::RetryOn;
  const http::ForwardAction action = forward(R"(
path_prefix = "/api/"
clusters = [{ name = "a", weight = 9 }, { name = "b" }]
prefix_rewrite = "/"
host_rewrite = "inner:81"
timeout = "3s"
idle_timeout = "0"
[listener.route.retry]
on = ["reset", "retriable-codes"]
codes = [429]
attempts = 2
per_try_timeout = "1s"
budget_percent = 50
non_idempotent = true
[listener.route.hash]
cookie = "session"
)");
  REQUIRE(action.clusters.size() == 2);
  CHECK(action.clusters[0].name == "a");
  CHECK(action.clusters[0].weight == 9);
  CHECK(action.clusters[1].weight == 1);
  CHECK(action.clusters[1].index == 1);
  CHECK(action.prefix_rewrite == "/");
  CHECK(action.host_rewrite == "inner:81");
  CHECK(action.timeout == 3s);
  CHECK(action.idle_timeout == 0s);
  REQUIRE(action.retry);
  CHECK(action.retry->has(RetryOn::Reset));
  CHECK(action.retry->has(RetryOn::RetriableCodes));
  CHECK_FALSE(action.retry->has(RetryOn::ConnectFailure));
  CHECK(action.retry->codes == std::vector<std::uint16_t>{429});
  CHECK(action.retry->retries == 2);
  CHECK(action.retry->per_try_timeout == 1s);
  CHECK(action.retry->budget_percent == 50);
  CHECK(action.retry->non_idempotent);
  REQUIRE(action.hash);
  CHECK(action.hash->source == http::HashPolicy::Source::Cookie);
  CHECK(action.hash->name == "session");
}

TEST_CASE("http route: what is forwarded has defaults") {
  const http::ForwardAction action = forward("cluster = \"a\"\nretry = { on = [\"5xx\"] }");
  CHECK(action.timeout == 15s);
  CHECK_FALSE(action.idle_timeout);
  CHECK_FALSE(action.prefix_rewrite);
  CHECK_FALSE(action.hash);
  REQUIRE(action.retry);
  CHECK(action.retry->retries == 1);
  CHECK_FALSE(action.retry->per_try_timeout);
  CHECK(action.retry->budget_percent == 20);
  CHECK_FALSE(action.retry->non_idempotent);
  CHECK_FALSE(forward("cluster = \"a\"\ntimeout = \"0\"").timeout);
}

TEST_CASE("http route: a regular expression rewrites the path") {
  const http::ForwardAction action = forward(
      "cluster = \"a\"\nregex_rewrite = { pattern = '^/u/(\\d+)', substitution = '/id/\\1' }");
  REQUIRE(action.regex_rewrite);
  CHECK(action.regex_rewrite->regex.replaced("/u/42/x", action.regex_rewrite->substitution) ==
        "/id/42/x");
}

TEST_CASE("http route: hashes") {
  using Source = http::HashPolicy::Source;
  CHECK(forward("cluster = \"a\"\nhash = { header = \"X\" }").hash->source == Source::Header);
  CHECK(forward("cluster = \"a\"\nhash = { client_address = true }").hash->source ==
        Source::ClientAddress);
}

TEST_CASE("http route: every key of header edits arrives, in the order of the file") {
  const http::Route read = route(R"(
cluster = "a"
request_headers = { set = { X-Z = "1", X-A = "%CLIENT_ADDRESS%" }, add = { X-B = "100%" }, remove = ["Cookie"] }
response_headers = { remove = ["Server"] }
)");
  REQUIRE(read.request_headers.set.size() == 2);
  CHECK(read.request_headers.set[0].name == "X-Z");
  CHECK_FALSE(read.request_headers.set[0].has_variables);
  CHECK(read.request_headers.set[1].has_variables);
  REQUIRE(read.request_headers.add.size() == 1);
  CHECK(read.request_headers.add[0].value == "100%");
  CHECK(read.request_headers.remove == std::vector<std::string>{"Cookie"});
  CHECK(read.response_headers.remove == std::vector<std::string>{"Server"});
}

TEST_CASE("http route: every key of a redirect arrives") {
  const http::Route read = route(R"(
path_prefix = "/old/"
redirect = { status = 308, scheme = "https", host = "new.example.com", prefix = "/new/", strip_query = true }
)");
  REQUIRE(read.redirect() != nullptr);
  CHECK(read.redirect()->status == 308);
  CHECK(read.redirect()->scheme == "https");
  CHECK(read.redirect()->host == "new.example.com");
  CHECK(read.redirect()->prefix == "/new/");
  CHECK(read.redirect()->strip_query);
  CHECK(route("redirect = { path = \"/x?y\" }").redirect()->path == "/x?y");
  CHECK(route("redirect = { path = \"/x\" }").redirect()->status == 301);
}

TEST_CASE("http route: every key of a direct response arrives") {
  const http::Route read =
      route("direct_response = { status = 404, body = \"no\\n\", content_type = \"text/html\" }");
  REQUIRE(read.direct_response() != nullptr);
  CHECK(read.direct_response()->status == 404);
  CHECK(read.direct_response()->body == "no\n");
  CHECK(read.direct_response()->content_type == "text/html");
  CHECK(route("direct_response = { status = 200 }").direct_response()->content_type ==
        "text/plain");
}

TEST_CASE("access log: path and format arrive") {
  const auto log = [](const char* toml) {
    return loaded("cluster = \"a\"\n[listener.access_log]\n" + std::string(toml)).access_log;
  };
  const auto line = [](const http::AccessLogConfig& config) {
    std::string text;
    config.format->render(text, {}, http::RequestHead(), nullptr);
    return text;
  };
  const auto file = log("path = \"/var//log/../log/a.log\"\nformat = \"%RESPONSE_CODE%\"");
  REQUIRE(file);
  CHECK(file->path == "/var/log/a.log");
  CHECK(line(*file) == "0\n");
  const auto json = log("path = \"stdout\"\njson = { z = \"%RESPONSE_CODE%\", a = \"x\" }");
  REQUIRE(json);
  CHECK(json->path == "stdout");
  CHECK(line(*json) == "{\"z\":0,\"a\":\"x\"}\n");
  CHECK(line(*log("path = \"stdout\"")).starts_with("["));
  CHECK_FALSE(log("path = \"none\""));
}
