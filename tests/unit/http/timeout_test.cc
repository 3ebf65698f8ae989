// What may take how long.

#include "tests/unit/http/http_rig.h"

using namespace baton;
using namespace baton::fixture;
using namespace std::chrono_literals;

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// The loop runs for so long, whatever happens.
void pass(HttpRig& rig, milliseconds time) {
  const auto until = steady_clock::now() + time;
  rig.worker->until([&] { return steady_clock::now() >= until; });
}

// In microseconds.
std::uint64_t longest(const HttpRig& rig, std::string_view histogram) {
  for (const region::MetricSample& sample : rig.worker->stats->private_metrics()) {
    if (sample.description.name != histogram) continue;
    return region::histogram_quantile(sample, 1);
  }
  return 0;
}

const proxy::http::RetryPolicy kOnReset{.on =
                                            static_cast<std::uint8_t>(proxy::http::RetryOn::Reset)};

}  // namespace

TEST_CASE("timeout: empty lines behind a request begin no other") {
  HttpRig rig({.timeouts = {.header = 1s}});
  TestPeer server = rig.ask();
  REQUIRE(rig.send(server, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
  REQUIRE(rig.contains(rig.client, "ok"));
  for (const char* piece : {"\r", "\n", "\r\n"}) {
    REQUIRE(rig.send(piece));
    settle(rig.worker->loop);
  }
  pass(rig, 1300ms);
  CHECK(rig.exchange(server));
  SUBCASE("it may move meanwhile") {
    const auto received = [&] {
      return rig.worker->only_session().state().downstream.received_bytes;
    };
    const std::uint64_t before = received();
    REQUIRE(rig.send("\r\n"));
    REQUIRE(rig.worker->until([&] { return received() > before; }));
    CHECK(rig.worker->only_session().freeze());
  }
  SUBCASE("unless there is no end of them") {
    for (int i = 0; i < 5; ++i) {
      REQUIRE(rig.send("\r\n"));
      settle(rig.worker->loop);
    }
    CHECK(rig.contains(rig.client, "HTTP/1.1 408 Request Timeout\r\n"));
  }
}

TEST_CASE("timeout: a request's begins with the first byte of its head") {
  HttpRig rig({.timeouts = {.request = 2s}});
  const auto begin = steady_clock::now();
  REQUIRE(rig.send("PUT / HTTP/1.1\r\nHo"));
  pass(rig, 1500ms);
  const auto complete = steady_clock::now();
  REQUIRE(rig.send("st: a\r\nContent-Length: 4\r\n\r\nbo"));
  CHECK(rig.starts_with(rig.client, "HTTP/1.1 408 Request Timeout\r\n"));
  CHECK(steady_clock::now() - begin >= 1990ms);
  CHECK(steady_clock::now() - complete < 2s);
}

TEST_CASE("timeout: what a head takes to come is part of its request's duration") {
  for (const auto limit : {std::optional(milliseconds(10s)), std::optional<milliseconds>()}) {
    HttpRig rig({.timeouts = {.header = limit}});
    REQUIRE(rig.send("GET / HTTP/1.1\r\nHo"));
    pass(rig, 100ms);
    REQUIRE(rig.send("st: a\r\n\r\n"));
    TestPeer server = rig.accept();
    REQUIRE(rig.send(server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    REQUIRE(rig.starts_with(rig.client, "HTTP/1.1 200 OK\r\n"));
    CHECK(longest(rig, "baton_http_request_duration_seconds") >= 90'000);
  }
}

TEST_CASE("timeout: the route's is for all attempts together") {
  proxy::http::RetryPolicy policy = kOnReset;
  policy.retries = 100;
  policy.per_try_timeout = 50ms;
  HttpRig rig(forwarded({.timeout = 200ms, .retry = policy}));
  const auto begin = steady_clock::now();
  REQUIRE(rig.send(kGet));
  CHECK(rig.starts_with(rig.client, "HTTP/1.1 504 Gateway Timeout\r\n"));
  CHECK(steady_clock::now() - begin < 4s);
}

TEST_CASE("timeout: an answer that came while this process was kept from running is in time") {
  proxy::http::RetryPolicy policy = kOnReset;
  proxy::http::ForwardAction action;
  SUBCASE("by the route's timeout") { action.timeout = 1s; }
  SUBCASE("by an attempt's") {
    policy.per_try_timeout = 1s;
    action.retry = policy;
  }
  SUBCASE("by both") {
    policy.per_try_timeout = 1s;
    action = {.timeout = 1s, .retry = policy};
  }
  HttpRig rig(forwarded(action));
  TestPeer server = rig.ask();
  server.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbo");
  stall(1200ms);
  REQUIRE(rig.contains(rig.client, "bo"));
  server.write("dy");
  stall(1200ms);
  CHECK(rig.contains(rig.client, "body"));
  CHECK(rig.client.received().starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(rig.worker->cluster_metric("timeouts_total") == 0);
}

TEST_CASE("timeout: a connection that was made while this process was kept from running is used") {
  HttpRig rig(forwarded({.timeout = 1s}));
  REQUIRE(rig.send(kGet));
  REQUIRE(rig.worker->until([&] { return rig.worker->cluster_metric("requests_total") == 1; }));
  stall(1200ms);
  TestPeer server = rig.accept();
  REQUIRE(rig.contains(server, "\r\n\r\n"));
  REQUIRE(rig.send(server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
  CHECK(rig.starts_with(rig.client, "HTTP/1.1 200 OK\r\n"));
}

TEST_CASE("timeout: an upload may be slower than an attempt's time") {
  proxy::http::RetryPolicy policy = kOnReset;
  policy.per_try_timeout = 1s;
  HttpRig rig(forwarded({.retry = policy}));
  REQUIRE(rig.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbo"));
  TestPeer server = rig.accept();
  REQUIRE(rig.contains(server, "bo"));
  pass(rig, 1300ms);
  REQUIRE(rig.send("dy"));
  REQUIRE(rig.contains(server, "body"));
  REQUIRE(rig.send(server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
  CHECK(rig.starts_with(rig.client, "HTTP/1.1 200 OK\r\n"));
  CHECK(rig.worker->cluster_metric("timeouts_total") == 0);
}

TEST_CASE("timeout: the route's begins anew with the response's head") {
  for (const char* framing : {"Content-Length: 4", "Transfer-Encoding: chunked"}) {
    CAPTURE(framing);
    HttpRig rig(forwarded({.timeout = 2s}));
    REQUIRE(rig.send(kGet));
    TestPeer server = rig.accept();
    pass(rig, 1200ms);
    REQUIRE(rig.send(server, "HTTP/1.1 200 OK\r\n" + std::string(framing) + "\r\n\r\n"));
    REQUIRE(rig.contains(rig.client, "\r\n\r\n"));
    pass(rig, 1200ms);
    const bool chunked = std::string_view(framing).ends_with("chunked");
    REQUIRE(rig.send(server, chunked ? "4\r\ndone\r\n0\r\n\r\n" : "done"));
    CHECK(rig.contains(rig.client, "done"));
    CHECK(rig.worker->cluster_metric("timeouts_total") == 0);
  }
}

TEST_CASE("timeout: one that sends no body behind its head is given up") {
  HttpRig rig(forwarded({.timeout = 50ms}));
  TestPeer server = rig.ask();
  REQUIRE(rig.send(server, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"));
  CHECK(rig.worker->until([&] { return server.read() != Peer::Open; }));
  CHECK(rig.worker->cluster_metric("timeouts_total") == 1);
}

TEST_CASE("timeout: an endpoint's time to answer begins with the end of the request") {
  HttpRig rig;
  REQUIRE(rig.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbo"));
  TestPeer server = rig.accept();
  REQUIRE(rig.contains(server, "bo"));
  pass(rig, 1500ms);
  REQUIRE(rig.send("dy"));
  REQUIRE(rig.contains(server, "body"));
  REQUIRE(rig.send(server, "HTTP/1.1 204 No Content\r\n\r\n"));
  REQUIRE(rig.starts_with(rig.client, "HTTP/1.1 204 No Content\r\n"));
  CHECK(longest(rig, "baton_upstream_first_byte_seconds") < 1'000'000);
  CHECK(longest(rig, "baton_http_request_duration_seconds") >= 1'490'000);
}

TEST_CASE("timeout: a route may have an idle time of its own") {
  HttpRig rig(forwarded({.timeout = std::nullopt, .idle_timeout = 50ms}));
  REQUIRE(rig.send(kGet));
  TestPeer server = rig.accept();
  CHECK(rig.starts_with(rig.client, "HTTP/1.1 504 Gateway Timeout\r\n"));
}

TEST_CASE("timeout: a response's head and what comes ahead of it are bytes that move") {
  HttpRig rig(forwarded({.timeout = std::nullopt, .idle_timeout = 1500ms}));
  REQUIRE(rig.send(kGet));
  TestPeer server = rig.accept();
  for (const char* piece : {"HTTP/1.1 102 Processing\r\n\r\n", "HTTP/1.1 102 Processing\r\n\r\n",
                            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", "done"}) {
    pass(rig, 500ms);
    REQUIRE(rig.send(server, piece));
  }
  CHECK(rig.contains(rig.client, "done"));
}

TEST_CASE("timeout: a tunnel on which nothing moves ends") {
  HttpRig rig({.timeouts = {.stream_idle = 50ms}});
  TestPeer server =
      rig.ask("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  REQUIRE(rig.send(server,
                   "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
                   "Upgrade: websocket\r\n\r\n"));
  REQUIRE(rig.contains(rig.client, "\r\n\r\n"));
  CHECK(rig.worker->is_empty());
}

TEST_CASE("timeout: a client is kept for so long after an answer, however long that took") {
  HttpRig rig({.timeouts = {.keep_alive = 400ms}});
  TestPeer server = rig.ask();
  pass(rig, 300ms);
  SUBCASE("for less than it is kept") {}
  SUBCASE("for longer") { pass(rig, 200ms); }
  const auto answered = steady_clock::now();
  REQUIRE(rig.send(server, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
  REQUIRE(rig.contains(rig.client, "ok"));
  SUBCASE("and it moves behind it") {
    proxy::Session& session = rig.worker->only_session();
    REQUIRE(session.freeze());
    session.thaw();
  }
  REQUIRE(rig.worker->sees(rig.client, Peer::Ended));
  CHECK(steady_clock::now() - answered >= 350ms);
}
