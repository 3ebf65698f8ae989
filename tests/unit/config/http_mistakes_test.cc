// Every mistake that the HTTP part of a listener can have, one row each, with the exact lines.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/unit/config/http_listener.h"

using baton::fixture::ReadHttp;

namespace {

struct Row {
  std::string toml;
  std::vector<std::string> expected;
};

void check(const std::vector<Row>& rows, const std::string& ahead, const std::string& label) {
  for (const Row& row : rows) {
    CAPTURE(row.toml);
    std::string expected;
    for (const std::string& line : row.expected) {
      const std::size_t key = line.find(": ") + 2;
      expected += "f:" + line.substr(0, key) + label + line.substr(key) + "\n";
    }
    CHECK(ReadHttp(ahead + row.toml).errors == expected);
  }
}

}  // namespace

TEST_CASE("http listener: mistakes of what it has of its own") {
  check(
      {
          {"", {R"(1:1: route: is missing; allowed: one [[listener.route]] or more, or cluster)"}},
          {"cluster = \"a\"\n[[listener.route]]\ncluster = \"b\"",
           {R"(2:11: cluster: there are routes; allowed: one of the two)"}},
          {"cluster = \"c\"", {R"(2:11: cluster: there is no cluster "c"; allowed: "a", "b")"}},
          {"cluster = \"a\"\nroute = 1",
           {R"(3:9: route: expected an array of tables, [[listener.route]], found an integer)"}},
          {"cluster = \"a\"\n[[listener.filter]]",
           {R"(3:1: filter #1: type: is missing; allowed: "direct_response", "mark", "tag")"}},
          {"cluster = \"a\"\n[[listener.filter]]\ntype = \"tcp_proxy\"",
           {R"(4:8: filter "tcp_proxy": type: "tcp_proxy" is not a filter of HTTP; allowed: "direct_response", "mark", "tag")"}},
          {"cluster = \"a\"\n[[listener.filter]]\ntype = \"mark\"\nword = \"x\"\n"
           "[[listener.filter]]\ntype = \"tag\"",
           {R"(7:8: filter "tag": type: "tag" sees connections, and a filter ahead of it requests; allowed: the filters of connections first)"}},
          {"cluster = \"a\"\n[[listener.filter]]\ntype = \"mark\"\nwodr = \"x\"",
           {R"(3:1: filter "mark": word: is missing; allowed: a string)",
            R"(5:1: filter "mark": wodr: unknown key; did you mean "word"?)"}},
      },
      "", "listener #1: ");
}

TEST_CASE("http listener: mistakes of [listener.http]") {
  check(
      {
          {"request_line_bytes = \"100B\"",
           {R"(4:22: request_line_bytes: is out of range; allowed: 1KiB to 64KiB)"}},
          {"header_bytes = \"2MiB\"",
           {R"(4:16: header_bytes: is out of range; allowed: 1KiB to 1024KiB)"}},
          {"header_count = 0", {R"(4:16: header_count: 0 is out of range; allowed: 1 to 10000)"}},
          {"body_bytes = 5",
           {R"(4:14: body_bytes: expected a size, found an integer; allowed: a whole number with a unit: "512B", "64KiB", "10MiB", "1GiB")"}},
          {"header_timeout = \"x\"",
           {R"(4:18: header_timeout: "x" is not a duration; allowed: a number with a unit: "500ms", "30s", "10m", "1h")"}},
          {"trusted_hops = -1", {R"(4:16: trusted_hops: -1 is out of range; allowed: 0 to 100)"}},
          {"upgrades = [\"H2C\", \"a b\"]",
           {R"(4:13: upgrades: "h2c" would take requests past every route and filter; allowed: protocols that carry no HTTP)",
            R"(4:20: upgrades: "a b" is not a protocol; allowed: "websocket")"}},
          {"connect = 1", {R"(4:11: connect: expected true or false, found an integer)"}},
          {"conect = true", {R"(4:1: conect: unknown key; did you mean "connect"?)"}},
      },
      "cluster = \"a\"\n[listener.http]\n", "listener #1: http.");
}

TEST_CASE("http listener: mistakes of [listener.access_log]") {
  const std::string path = R"("/path/to/file", "stdout", "none")";
  check(
      {
          {"", {"3:1: path: is missing; allowed: " + path}},
          {"path = \"a.log\"",
           {R"(4:8: path: "a.log" is not an absolute path of a file; allowed: )" + path}},
          {"path = \"/var/log/\"",
           {R"(4:8: path: "/var/log/" is not an absolute path of a file; allowed: )" + path}},
          {"path = \"/a\\nb\"",
           {R"(4:8: path: "/a\nb" is not an absolute path of a file; allowed: )" + path}},
          {"path = \"/a\"\nformat = \"%\"",
           {R"(5:10: format: "%" has a single percent sign; allowed: %OPERATOR%, %% for a percent sign)"}},
          {"path = \"/a\"\nformat = \"x\"\njson = { a = \"y\" }",
           {R"(6:8: json: there is format already; allowed: one of format, json)"}},
          {"path = \"/a\"\njson = { a = \"%REQ%\", b = 1 }",
           {R"(5:14: json.a: "%REQ%" has a %REQ% without a header's name; allowed: %REQ(NAME)%, %REQ(NAME?OTHER)%)",
            R"(5:27: json.b: expected a string, found an integer)"}},
      },
      "cluster = \"a\"\n[listener.access_log]\n", "listener #1: access_log.");
}

TEST_CASE("http route: mistakes of its conditions") {
  const std::string host =
      R"("example.com", "*.example.com", "192.0.2.1", "[2001:db8::1]", without a port)";
  const std::string name = "allowed: letters, digits and any of !#$%&'*+-.^_`|~";
  check(
      {
          {"host = \"a.com:80\"", {R"(4:8: host: "a.com:80" is not a host; allowed: )" + host}},
          {"host = \"*\"", {R"(4:8: host: "*" is not a host; allowed: )" + host}},
          {"host = \"a.*.com\"", {R"(4:8: host: "a.*.com" is not a host; allowed: )" + host}},
          {"host = 1", {R"(4:8: host: expected a string, found an integer)"}},
          {"path = \"x\"",
           {R"(4:8: path: "x" is not a path; allowed: "/path", percent-encoded, without a query, or "*")"}},
          {"path = 1", {R"(4:8: path: expected a string, found an integer)"}},
          {"path_prefix = \"/a?b\"",
           {R"(4:15: path_prefix: "/a?b" is not a path; allowed: "/path", percent-encoded, without a query)"}},
          {"path_regex = \"(\"",
           {R"(4:14: path_regex: "(" is not a regular expression: missing ): (; allowed: RE2's syntax)"}},
          {"path = \"/\"\npath_prefix = \"/\"",
           {R"(5:15: path_prefix: there is path already; allowed: one of path, path_prefix, path_regex)"}},
          {"methods = [\"get\"]",
           {R"(4:12: methods: "get" is not a method; allowed: names like "GET", in upper case)"}},
          {"methods = []",
           {R"(4:11: methods: names none; allowed: names like "GET", in upper case)"}},
          {"headers = [{ name = \"a b\", exact = \"x\" }]",
           {R"(4:21: headers "a b": name: "a b" is not a name; )" + name}},
          {"headers = [{ name = \"a\" }]",
           {R"(4:12: headers "a": exact: is missing; allowed: one of exact, prefix, regex, present)"}},
          {"headers = [{ name = \"a\", exact = \"x\", prefix = \"y\" }]",
           {R"(4:48: headers "a": prefix: there is exact already; allowed: one of exact, prefix, regex, present)"}},
          {"headers = [{ exact = \"x\", no = 1 }]",
           {R"(4:12: headers #1: name: is missing; allowed: the name of a header)",
            R"(4:27: headers #1: no: unknown key; allowed: name, exact, prefix, regex, present)"}},
          {"hots = \"a\"", {R"(4:1: hots: unknown key; did you mean "host"?)"}},
      },
      "[[listener.route]]\ncluster = \"a\"\n", "listener #1: route #1: ");
}

TEST_CASE("http route: mistakes of its name") {
  check(
      {{"name = \"a b\"",
        {R"(4:8: name: "a b" cannot be a name; allowed: 1 to 64 letters, digits, '_', '.' and '-')"}}},
      "[[listener.route]]\ncluster = \"a\"\n", "listener #1: route \"a b\": ");
  check({{"name = \"n\"\n[[listener.route]]\ncluster = \"a\"\nname = \"n\"",
          {R"(7:8: name: "n" is taken already, on line 4; allowed: a name of its own)"}}},
        "[[listener.route]]\ncluster = \"a\"\n", "listener #1: route \"n\": ");
}

TEST_CASE("http route: mistakes of what becomes of a request") {
  const std::string actions = "allowed: one of cluster, clusters, redirect, direct_response";
  check(
      {
          {"", {"2:1: cluster: is missing; " + actions}},
          {"cluster = \"a\"\nredirect = { scheme = \"https\" }",
           {"4:12: redirect: there is cluster already; " + actions}},
          {"cluster = \"c\"", {R"(3:11: cluster: there is no cluster "c"; allowed: "a", "b")"}},
          {"clusters = [{ name = \"c\", weight = 2000000 }, { weight = 1 }]",
           {R"(3:22: clusters "c": name: there is no cluster "c"; allowed: "a", "b")",
            R"(3:36: clusters "c": weight: 2000000 is out of range; allowed: 0 to 1000000)",
            R"(3:47: clusters #2: name: is missing; allowed: the name of a cluster)"}},
          {"clusters = [{ name = \"a\", weight = 0 }]",
           {R"(3:12: clusters: no cluster gets any request; allowed: one or more with a weight)"}},
          {"clusters = []",
           {R"(3:12: clusters: no cluster gets any request; allowed: one or more with a weight)"}},
          {"redirect = {}",
           {R"(3:12: redirect: redirects to where the request was for; allowed: one or more of scheme, host, path, prefix, strip_query = true)"}},
          {"redirect = { status = 304, path = \"/\" }",
           {R"(3:23: redirect.status: 304 is not a redirect; allowed: 301, 302, 303, 307, 308)"}},
          {"redirect = { scheme = \"ftp\", host = \"a b\", path = \"x\" }",
           {R"(3:23: redirect.scheme: "ftp" is unknown; allowed: "http", "https")",
            R"(3:37: redirect.host: "a b" is not a host; allowed: "example.com", "example.com:8080", "[::1]:80")",
            R"(3:51: redirect.path: "x" is not a path; allowed: "/path" or "/path?query", percent-encoded)"}},
          {"redirect = { path = \"/x\", prefix = \"/y\" }",
           {R"(3:36: redirect.prefix: there is path already; allowed: one of path, prefix)",
            R"(3:36: redirect.prefix: the route matches no prefix; allowed: with path_prefix or path)"}},
          {"redirect = { path = \"/x\" }\ntimeout = \"1s\"\nrequest_headers = {}",
           {R"(4:11: timeout: a redirect goes to no upstream; allowed: with cluster or clusters)",
            R"(5:19: request_headers: a redirect goes to no upstream; allowed: with cluster or clusters)"}},
          {"direct_response = { body = \"x\" }",
           {R"(3:19: direct_response.status: is missing; allowed: 200 to 599)"}},
          {"direct_response = { status = 101 }",
           {R"(3:30: direct_response.status: 101 is out of range; allowed: 200 to 599)"}},
          {"direct_response = { status = 204, body = \"x\" }",
           {R"(3:42: direct_response.body: a response 204 has none; allowed: leave it out, or another status)"}},
          {"direct_response = { status = 200, content_type = \"a\\nb\" }",
           {R"(3:50: direct_response.content_type: "a\nb" has a control character; allowed: one line of text)"}},
      },
      "[[listener.route]]\n", "listener #1: route #1: ");
}

TEST_CASE("http route: mistakes of how a request is forwarded") {
  const std::string reasons =
      R"("connect-failure", "reset", "5xx", "gateway-error", "retriable-codes")";
  check(
      {
          {"prefix_rewrite = \"/\"",
           {R"(4:18: prefix_rewrite: the route matches no prefix; allowed: with path_prefix or path)"}},
          {"path = \"/x\"\nprefix_rewrite = \"y\"",
           {R"(5:18: prefix_rewrite: "y" is not a path; allowed: "/path", percent-encoded, without a query)"}},
          {"path = \"/x\"\nprefix_rewrite = \"/\"\n"
           "regex_rewrite = { pattern = \"a\", substitution = \"b\" }",
           {R"(6:17: regex_rewrite: there is prefix_rewrite already; allowed: one of prefix_rewrite, regex_rewrite)"}},
          {"regex_rewrite = {}",
           {R"(4:17: regex_rewrite.pattern: is missing; allowed: a regular expression)",
            R"(4:17: regex_rewrite.substitution: is missing; allowed: text, with \1 to \9 for groups)"}},
          {"regex_rewrite = { pattern = \"a\", substitution = \"b c\" }",
           {R"(4:49: regex_rewrite.substitution: "b c" cannot be part of a path; allowed: percent-encoded text without a query)"}},
          {"regex_rewrite = { pattern = \"a\", substitution = '\\1' }",
           {R"(4:49: regex_rewrite.substitution: Rewrite schema requests 1 matches, but the regexp only has 0 parenthesized subexpressions.; allowed: \0 for all of the match, \1 to \9 for groups)"}},
          {"host_rewrite = \"http://a\"",
           {R"(4:16: host_rewrite: "http://a" is not a host; allowed: "example.com", "example.com:8080", "[::1]:80")"}},
          {"retry = {}", {"4:9: retry.on: is missing; allowed: one or more of " + reasons}},
          {"retry = { on = [\"4xx\"] }",
           {R"(4:17: retry.on: "4xx" is no reason to retry; allowed: )" + reasons}},
          {"retry = { on = [\"5xx\"], codes = [1], attempts = 11 }",
           {R"(4:33: retry.codes: has no effect; allowed: with "retriable-codes" in on)",
            R"(4:34: retry.codes: 1 is out of range; allowed: 200 to 599)",
            R"(4:49: retry.attempts: 11 is out of range; allowed: 1 to 10)"}},
          {"retry = { on = [\"retriable-codes\"] }",
           {R"(4:9: retry.codes: is missing; allowed: what "retriable-codes" are, [429, 503])"}},
          {"hash = { header = \"a\", cookie = \"b\" }",
           {R"(4:33: hash.cookie: there is header already; allowed: one of header, cookie, client_address)"}},
          {"hash = { client_address = false }",
           {R"(4:27: hash.client_address: says nothing; allowed: true, or leave it out)"}},
      },
      "[[listener.route]]\ncluster = \"a\"\n", "listener #1: route #1: ");
}

TEST_CASE("http route: mistakes of header edits") {
  const std::string framing =
      " says where a message or connection ends, and is the proxy's own; allowed: other names";
  check(
      {
          {"request_headers = { set = { Host = \"x\", X-A = \"%NOPE%\", X-B = 1 } }",
           {R"(4:36: request_headers.set.Host: "Host" is not edited here; allowed: host_rewrite)",
            R"(4:47: request_headers.set.X-A: "%NOPE%" is not a variable; allowed: %CLIENT_ADDRESS%, %GENERATION%)",
            R"(4:63: request_headers.set.X-B: expected a string, found an integer)"}},
          {"response_headers = { add = { \"a b\" = \"x\", X-A = \"a\\nb\" } }",
           {R"(4:38: response_headers.add."a b": "a b" is not the name of a header; allowed: letters, digits and any of !#$%&'*+-.^_`|~)",
            R"(4:49: response_headers.add.X-A: "a\nb" has a control character; allowed: one line of text)"}},
          {"response_headers = { remove = [\"content-length\", \"Transfer-Encoding\"] }",
           {R"(4:32: response_headers.remove: "content-length")" + framing,
            R"(4:50: response_headers.remove: "Transfer-Encoding")" + framing}},
          {"request_headers = { put = {} }",
           {R"(4:21: request_headers.put: unknown key; allowed: set, add, remove)"}},
      },
      "[[listener.route]]\ncluster = \"a\"\n", "listener #1: route #1: ");
}
