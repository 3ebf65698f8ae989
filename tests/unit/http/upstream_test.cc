#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cstring>

#include "proxy/filter/proxy_protocol/proxy_header_parser.h"
#include "tests/unit/http/http_rig.h"

using namespace baton;
using namespace baton::fixture;
using namespace std::chrono_literals;

namespace {

std::int64_t retries(HttpRig& rig) { return rig.worker->cluster_metric("retries_total"); }

// How many segments with data have come: what was sent by one call is one, if it is short.
std::uint32_t segments_received(const TestPeer& peer) {
  // tcpi_data_segs_in, which the C library's tcp_info ends ahead of.
  constexpr std::size_t kDataSegmentsIn = 152;
  char info[256] = {};
  socklen_t length = sizeof info;
  REQUIRE(::getsockopt(peer.fd(), IPPROTO_TCP, TCP_INFO, info, &length) == 0);
  REQUIRE(length >= kDataSegmentsIn + sizeof(std::uint32_t));
  std::uint32_t count = 0;
  std::memcpy(&count, info + kDataSegmentsIn, sizeof count);
  return count;
}

}  // namespace

TEST_CASE("upstream: what it says that is not HTTP becomes a 502") {
  for (const char* response :
       {"rubbish\r\n\r\n", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"}) {
    CAPTURE(response);
    HttpRig rig;
    TestPeer server = rig.ask();
    REQUIRE(rig.send(server, response));
    CHECK(rig.starts_with(rig.client, "HTTP/1.1 502 Bad Gateway\r\n"));
    CHECK(rig.worker->until([&] { return server.read() != Peer::Open; }));
    CHECK(rig.worker->cluster_metric("protocol_errors_total") == 1);
  }
}

TEST_CASE("upstream: a flood of interim responses becomes a 502") {
  constexpr int kMost = proxy::http::UpstreamRequest::kMaxInterimResponses;
  for (const auto& [count, status] : {std::pair(kMost, "200 OK"), {kMost + 1, "502 Bad Gateway"}}) {
    HttpRig rig;
    TestPeer server = rig.ask();
    for (int i = 0; i < count; ++i) {
      REQUIRE(rig.send(server, "HTTP/1.1 103 Early Hints\r\n\r\n"));
    }
    server.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    CHECK(rig.contains(rig.client, "HTTP/1.1 " + std::string(status)));
  }
}

TEST_CASE("upstream: one that closes before its answer is a 502, in the middle of it the end") {
  SUBCASE("before") {
    HttpRig rig;
    TestPeer server = rig.ask();
    server.close();
    CHECK(rig.starts_with(rig.client, "HTTP/1.1 502 Bad Gateway\r\n"));
    CHECK(rig.worker->cluster_metric("resets_total") == 1);
  }
  SUBCASE("in the middle") {
    HttpRig rig;
    TestPeer server = rig.ask();
    REQUIRE(rig.send(server, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"));
    REQUIRE(rig.contains(rig.client, "hel"));
    server.close();
    CHECK(rig.worker->sees(rig.client, Peer::Ended));
    CHECK(rig.client.received().ends_with("\r\n\r\nhel"));
    CHECK(rig.http_metric("resets_total") == 1);
  }
}

TEST_CASE("upstream: a response without a Date gets one, and its own stays") {
  for (const std::string own : {"", "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"}) {
    CAPTURE(own);
    HttpRig rig;
    TestPeer server = rig.ask();
    REQUIRE(rig.send(server, "HTTP/1.1 200 OK\r\n" + own + "Content-Length: 0\r\n\r\n"));
    REQUIRE(rig.contains(rig.client, "\r\n\r\n"));
    const std::string head = rig.client.received();
    CHECK(head.contains("\r\ndate: ") == own.empty());
    CHECK(head.contains(own));
  }
}

TEST_CASE("upstream: nobody there is a 503 at once") {
  HttpRig rig;
  rig.servers.clear();
  REQUIRE(rig.send(kGet));
  CHECK(rig.starts_with(rig.client, "HTTP/1.1 503 Service Unavailable\r\n"));
}

TEST_CASE("upstream: one that never answers is a 504 after the route's timeout") {
  HttpRig rig(forwarded({.timeout = 50ms}));
  REQUIRE(rig.send(kGet));
  TestPeer server = rig.accept();
  CHECK(rig.starts_with(rig.client, "HTTP/1.1 504 Gateway Timeout\r\n"));
  CHECK(rig.worker->until([&] { return server.read() != Peer::Open; }));
  CHECK(rig.worker->cluster_metric("timeouts_total") == 1);
}

TEST_CASE("upstream: nor is one that waits for an upstream to read it kept for longer") {
  HttpRig rig(forwarded({.timeout = 50ms}));
  const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n";
  TestPeer server;
  SUBCASE("it takes no more of the body") {
    server = rig.ask(head + "\r\n");
    const std::string piece(1 << 20, 'x');
    CHECK(rig.worker->until([&] {
      rig.client.write(piece);
      rig.client.read();
      return !rig.client.received().empty();
    }));
  }
  SUBCASE("it does not say that the client may go on") {
    server = rig.ask(head + "Expect: 100-continue\r\n\r\n");
  }
  CHECK(rig.starts_with(rig.client, "HTTP/1.1 504 Gateway Timeout\r\n"));
  CHECK(rig.worker->cluster_metric("timeouts_total") == 1);
}

TEST_CASE("upstream: a client that was told to go on may take its time") {
  HttpRig rig(forwarded({.timeout = 1s}));
  TestPeer server =
      rig.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  REQUIRE(rig.send(server, "HTTP/1.1 100 Continue\r\n\r\n"));
  REQUIRE(rig.contains(rig.client, "HTTP/1.1 100 Continue\r\n\r\n"));
  const auto long_after = std::chrono::steady_clock::now() + 1300ms;
  CHECK(rig.worker->until([&] { return std::chrono::steady_clock::now() > long_after; }));
  REQUIRE(rig.send("ok"));
  CHECK(rig.contains(server, "\r\n\r\nok"));
}

TEST_CASE("upstream: an upload that gets no connection is a 504 after the route's timeout") {
  proxy::ClusterConfig cluster;
  cluster.limits.connections = 1;
  proxy::http::Route quick;
  quick.match.path = proxy::http::PathPrefix{"/quick"};
  quick.action = proxy::http::ForwardAction{.clusters = {{.name = "back"}}, .timeout = 50ms};
  proxy::http::Route slow;
  slow.action = proxy::http::ForwardAction{.clusters = {{.name = "back"}}};
  std::vector<proxy::http::Route> routes;
  routes.push_back(std::move(quick));
  routes.push_back(std::move(slow));
  HttpRig rig({.routes = std::make_shared<const proxy::http::RouteTable>(std::move(routes))},
              cluster);
  const TestPeer taken = rig.ask();
  TestPeer upload = rig.worker->connect();
  std::string body;
  SUBCASE("of which little has come") {}
  SUBCASE("that is not read any more") {
    body.assign(2 * proxy::http::UpstreamRequest::kWaitingBytes, 'x');
  }
  REQUIRE(rig.send(upload,
                   "POST /quick HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n" + body));
  CHECK(rig.starts_with(upload, "HTTP/1.1 504 Gateway Timeout\r\n"));
}

TEST_CASE("upstream: a client may take longer to send its request than the route's timeout") {
  HttpRig rig(forwarded({.timeout = 1s}));
  TestPeer server = rig.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx");
  TestPeer other = rig.worker->connect();
  REQUIRE(rig.send(other, kGet));
  CHECK(rig.starts_with(other, "HTTP/1.1 504 Gateway Timeout\r\n"));
  REQUIRE(rig.send("y"));
  REQUIRE(rig.contains(server, "\r\n\r\nxy"));
  REQUIRE(rig.send(server, "HTTP/1.1 204 No Content\r\n\r\n"));
  CHECK(rig.starts_with(rig.client, "HTTP/1.1 204 No Content\r\n"));
}

TEST_CASE("upstream: a kept connection that was closed meanwhile costs nobody a request") {
  HttpRig rig;
  TestPeer server = rig.ask();
  REQUIRE(rig.send(server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
  REQUIRE(rig.contains(rig.client, "\r\n\r\n"));
  // Both at once: the proxy learns of the end only after it has sent the request.
  rig.client.write("GET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
  server.close();
  TestPeer fresh = rig.accept();
  REQUIRE(rig.contains(fresh, "GET /2 HTTP/1.1\r\n"));
  REQUIRE(rig.send(fresh, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"));
  CHECK(rig.contains(rig.client, "HTTP/1.1 201 Created\r\n"));
}

TEST_CASE("upstream: what may not be sent again goes on no connection that has ended or spoken") {
  bool speaks = false;
  SUBCASE("ended") {}
  SUBCASE("spoken") { speaks = true; }
  HttpRig rig;
  TestPeer server = rig.ask();
  REQUIRE(rig.send(server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
  REQUIRE(rig.contains(rig.client, "\r\n\r\n"));
  // Both at once: the request is read first.
  rig.client.write("POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
  speaks ? static_cast<void>(server.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
         : server.close();
  TestPeer fresh = rig.accept();
  REQUIRE(rig.contains(fresh, "\r\n\r\nx"));
  REQUIRE(rig.send(fresh, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"));
  CHECK(rig.contains(rig.client, "HTTP/1.1 201 Created\r\n"));
}

TEST_CASE("upstream: what a kept connection says before it has a request is no answer to that") {
  HttpRig rig;
  TestPeer server = rig.ask();
  REQUIRE(rig.send(server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
  REQUIRE(rig.contains(rig.client, "\r\n\r\n"));
  // Both at once: the request is read first.
  rig.client.write("GET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
  server.write("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n");
  TestPeer fresh = rig.accept();
  REQUIRE(rig.contains(fresh, "GET /2 HTTP/1.1\r\n"));
  REQUIRE(rig.send(fresh, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"));
  CHECK(rig.contains(rig.client, "HTTP/1.1 201 Created\r\n"));
  CHECK(rig.client.received().find(" 202 ") == std::string::npos);
  CHECK(rig.worker->cluster_metric("protocol_errors_total") == 1);
  CHECK(rig.worker->sees(server, Peer::Ended));
}

TEST_CASE("upstream: an idle connection that speaks or closes is not used again") {
  for (const bool speaks : {false, true}) {
    CAPTURE(speaks);
    HttpRig rig;
    TestPeer server = rig.ask();
    REQUIRE(rig.send(server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    REQUIRE(rig.contains(rig.client, "\r\n\r\n"));
    speaks ? static_cast<void>(server.write("HTTP/1.1 200 OK\r\n\r\n")) : server.close();
    CHECK(rig.worker->until([&] { return rig.worker->cluster_metric("connections_active") == 0; }));
    REQUIRE(rig.send(kGet));
    TestPeer fresh = rig.accept();
    CHECK(rig.contains(fresh, "\r\n\r\n"));
  }
}

TEST_CASE("upstream: a retry goes to another endpoint, with the body that was sent") {
  proxy::http::RetryPolicy policy{.on =
                                      static_cast<std::uint8_t>(proxy::http::RetryOn::ServerError)};
  HttpRig rig(forwarded({.retry = policy}), {}, 2);
  REQUIRE(rig.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"));
  TestPeer first = rig.accept(0);
  REQUIRE(rig.contains(first, "body"));
  SUBCASE("after a 500") {
    REQUIRE(rig.send(first, "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"));
  }
  SUBCASE("after a reset") { first.reset(); }
  TestPeer second = rig.accept(1);
  REQUIRE(rig.contains(second, "\r\n\r\nbody"));
  REQUIRE(rig.send(second, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
  CHECK(rig.starts_with(rig.client, "HTTP/1.1 200 OK\r\n"));
  CHECK(retries(rig) == 1);
}

TEST_CASE("upstream: what is not idempotent is not sent twice") {
  proxy::http::RetryPolicy policy{.on =
                                      static_cast<std::uint8_t>(proxy::http::RetryOn::ServerError)};
  HttpRig rig(forwarded({.retry = policy}), {}, 2);
  TestPeer first = rig.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
  REQUIRE(rig.send(first, "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"));
  CHECK(rig.starts_with(rig.client, "HTTP/1.1 500 Oops\r\n"));
  CHECK(retries(rig) == 0);
}

TEST_CASE("upstream: without a connection any request goes on to a few others, to each once") {
  int endpoints = 6;
  std::size_t reachable = 6;
  int failures = 4;
  SUBCASE("none is there") {}
  SUBCASE("there is only one other") { endpoints = failures = 2; }
  SUBCASE("one beyond the few is there") { reachable = 4; }
  SUBCASE("one of the few is there") {
    reachable = 3;
    failures = 3;
  }
  HttpRig rig({}, {}, endpoints);
  for (std::size_t i = 0; i < rig.servers.size(); ++i) {
    if (i != reachable) rig.servers[i].fd.reset();
  }
  REQUIRE(rig.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"));
  if (reachable == 3) {
    TestPeer server = rig.accept(reachable);
    REQUIRE(rig.contains(server, "\r\n\r\nx"));
    REQUIRE(rig.send(server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    CHECK(rig.starts_with(rig.client, "HTTP/1.1 200 OK\r\n"));
    CHECK(retries(rig) == 3);
  } else {
    CHECK(rig.starts_with(rig.client, "HTTP/1.1 503 Service Unavailable\r\n"));
    CHECK(retries(rig) == failures - 1);
  }
  CHECK(rig.worker->cluster_metric("connect_failures_total") == failures);
}

TEST_CASE("upstream: a policy for connect failures says how often, and tries again what there is") {
  int endpoints = 1;
  SUBCASE("one endpoint") {}
  SUBCASE("five endpoints") { endpoints = 5; }
  for (const std::uint32_t attempts : {1U, 2U, 7U}) {
    CAPTURE(attempts);
    proxy::http::RetryPolicy policy{
        .on = static_cast<std::uint8_t>(proxy::http::RetryOn::ConnectFailure), .retries = attempts};
    HttpRig rig(forwarded({.retry = policy}), {}, endpoints);
    rig.servers.clear();
    REQUIRE(rig.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"));
    CHECK(rig.starts_with(rig.client, "HTTP/1.1 503 Service Unavailable\r\n"));
    CHECK(rig.worker->cluster_metric("connect_failures_total") == attempts + 1);
    CHECK(retries(rig) == attempts);
  }
}

TEST_CASE("upstream: a retry for want of a connection is under way until it has one") {
  proxy::ClusterConfig cluster;
  cluster.limits.retries = 1;
  proxy::http::RetryPolicy policy{
      .on = static_cast<std::uint8_t>(proxy::http::RetryOn::ConnectFailure), .retries = 5};
  HttpRig rig(forwarded({.retry = policy}), cluster, 2);
  rig.servers[0].fd.reset();
  proxy::Cluster& back = *rig.worker->clusters.find("back");
  SUBCASE("another one is under way") {
    const proxy::CircuitGuard other = back.acquire(proxy::Circuit::Retries);
    REQUIRE(rig.send(kGet));
    CHECK(rig.starts_with(rig.client, "HTTP/1.1 503 Service Unavailable\r\n"));
    CHECK(retries(rig) == 0);
  }
  SUBCASE("none is") {
    const TestPeer server = rig.ask(kGet, 1);
    CHECK(retries(rig) == 1);
    CHECK(back.in_use(proxy::Circuit::Retries) == 0);
  }
}

TEST_CASE("upstream: an interim response of an attempt that is repeated goes to its own client") {
  proxy::http::RetryPolicy policy{.on =
                                      static_cast<std::uint8_t>(proxy::http::RetryOn::ServerError)};
  HttpRig rig(forwarded({.retry = policy}), {}, 2);
  TestPeer first = rig.ask();
  REQUIRE(rig.send(first,
                   "HTTP/1.1 103 Early Hints\r\nX-Secret: 1\r\n\r\n"
                   "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"));
  TestPeer second = rig.accept(1);
  REQUIRE(rig.contains(second, "\r\n\r\n"));
  TestPeer other = rig.worker->connect();
  REQUIRE(rig.send(other, "rubbish\r\n\r\n"));
  CHECK(rig.starts_with(other, "HTTP/1.1 400 Bad Request\r\n"));
  CHECK(rig.starts_with(rig.client, "HTTP/1.1 103 Early Hints\r\n"));
}

TEST_CASE("upstream: a header of the PROXY protocol is for one client, and so is its connection") {
  proxy::ClusterConfig cluster;
  cluster.send_proxy_protocol = true;
  HttpRig rig({}, cluster);
  for (int i = 0; i < 2; ++i) {
    CAPTURE(i);
    TestPeer server = rig.ask();
    REQUIRE(rig.worker->receives(server, 28));
    const auto header = proxy::parse_proxy_header(server.received());
    CHECK(header.client.text() == rig.worker->only_session().state().client.text());
    CHECK(rig.has(server, server.received().substr(0, header.size) +
                              "GET / HTTP/1.1\r\nHost: a\r\n" + kForwarded +
                              "connection: close\r\n\r\n"));
    REQUIRE(rig.send(server, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
    CHECK(rig.contains(rig.client, "ok"));
    CHECK(rig.worker->sees(server, Peer::Ended));
  }
}

TEST_CASE("upstream: a request counts once for outlier detection, as what became of all of it") {
  proxy::ClusterConfig cluster;
  cluster.outlier_detection = proxy::OutlierConfig{.consecutive_5xx = 2};
  HttpRig rig({}, cluster);
  const auto fail_with = [&](const std::string& head) {
    rig.client = rig.worker->connect();
    TestPeer server = rig.ask();
    REQUIRE(rig.send(server, head + "\r\nContent-Length: 5\r\n\r\nhel"));
    REQUIRE(rig.contains(rig.client, "hel"));
    server.close();
    REQUIRE(rig.worker->sees(rig.client, Peer::Ended));
  };
  const auto ejections = [&] { return rig.worker->cluster_metric("ejections_total"); };
  fail_with("HTTP/1.1 500 Oops");
  CHECK(ejections() == 0);
  fail_with("HTTP/1.1 200 OK");
  CHECK(ejections() == 1);
}

TEST_CASE("upstream: a reset is not the end of a body that ends with its connection") {
  HttpRig rig;
  Peer seen = Peer::Ended;
  std::string request = kGet;
  SUBCASE("in chunks, for HTTP/1.1") {}
  SUBCASE("by the end of the connection, for HTTP/1.0") {
    request = "GET / HTTP/1.0\r\nHost: a\r\n\r\n";
    seen = Peer::Reset;
  }
  TestPeer server = rig.ask(request);
  REQUIRE(rig.send(server, "HTTP/1.1 200 OK\r\n\r\nhalf"));
  REQUIRE(rig.contains(rig.client, "half"));
  server.reset();
  CHECK(rig.worker->sees(rig.client, seen));
  CHECK(rig.client.received().ends_with(seen == Peer::Ended ? "half\r\n" : "half"));
}

TEST_CASE("upstream: nor is one that is found out by writing") {
  bool client_first = false;
  SUBCASE("the reset has come first") {}
  SUBCASE("the rest of the request has come first") { client_first = true; }
  HttpRig rig;
  TestPeer server = rig.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n");
  REQUIRE(rig.send(server, "HTTP/1.1 200 OK\r\n\r\nhalf"));
  REQUIRE(rig.contains(rig.client, "half"));
  if (!client_first) server.reset();
  rig.client.write("more");
  if (client_first) server.reset();
  CHECK(rig.worker->sees(rig.client, Peer::Ended));
  CHECK(rig.client.received().ends_with("half\r\n"));
  CHECK(rig.worker->cluster_metric("resets_total") == 1);
}

TEST_CASE("upstream: the limit of request bodies is none of responses") {
  for (const char* head :
       {"Content-Length: 5\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n5\r\n"}) {
    CAPTURE(head);
    HttpRig rig({.limits = {.body_bytes = 4}});
    TestPeer server = rig.ask();
    REQUIRE(rig.send(server, std::string("HTTP/1.1 200 OK\r\n") + head + "hello\r\n"));
    CHECK(rig.contains(rig.client, "hello"));
    CHECK(rig.starts_with(rig.client, "HTTP/1.1 200 OK\r\n"));
  }
}

TEST_CASE("upstream: idle connections to others do not use up the limit") {
  proxy::ClusterConfig cluster;
  cluster.limits.connections = 1;
  HttpRig rig({}, cluster, 2);
  std::vector<TestPeer> servers;
  for (std::size_t i = 0; i < 4; ++i) {
    CAPTURE(i);
    rig.client = rig.worker->connect();
    REQUIRE(rig.send(kGet));
    TestPeer& server = servers.emplace_back(rig.accept(i % 2));
    REQUIRE(rig.contains(server, "\r\n\r\n"));
    REQUIRE(rig.send(server, "HTTP/1.1 204 No Content\r\n\r\n"));
    CHECK(rig.starts_with(rig.client, "HTTP/1.1 204 No Content\r\n"));
  }
}

TEST_CASE("upstream: where too many are idle the one that was used longest ago goes") {
  proxy::ClusterConfig cluster;
  cluster.keepalive.max_idle_connections = 1;
  HttpRig rig({}, cluster, 2);
  TestPeer first = rig.ask(kGet, 0);
  REQUIRE(rig.send(first, "HTTP/1.1 204 No Content\r\n\r\n"));
  REQUIRE(rig.contains(rig.client, "\r\n\r\n"));
  TestPeer second = rig.ask(kGet, 1);
  REQUIRE(rig.send(second, "HTTP/1.1 204 No Content\r\n\r\n"));
  CHECK(rig.worker->sees(first, Peer::Ended));
  CHECK(second.read() == Peer::Open);
}

TEST_CASE("upstream: of a request whose body is malformed nothing is sent on a kept connection") {
  HttpRig rig;
  TestPeer server = rig.ask();
  REQUIRE(rig.send(server, "HTTP/1.1 204 No Content\r\n\r\n"));
  REQUIRE(rig.contains(rig.client, "\r\n\r\n"));
  const std::string before = server.received();
  TestPeer bad = rig.worker->connect();
  REQUIRE(rig.send(bad,
                   "POST /bad HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                   "1\r\na\r\nxyz\r\n\r\n"));
  CHECK(rig.starts_with(bad, "HTTP/1.1 400 Bad Request\r\n"));
  // It is as good as before for the next one.
  REQUIRE(rig.send(kGet));
  REQUIRE(rig.contains(server, "GET / HTTP/1.1\r\nHost: a\r\n" + kForwarded + "\r\nGET /"));
  CHECK(server.received().substr(before.size()).starts_with("GET / "));
  CHECK(rig.worker->cluster_metric("connections_total") == 1);
}

TEST_CASE("upstream: small chunks that are received at once are sent at once") {
  HttpRig rig;
  TestPeer server = rig.ask("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  const std::string before = server.received();
  const std::uint32_t segments = segments_received(server);
  std::string chunks;
  for (int i = 0; i < 1000; ++i) chunks += "1\r\nx\r\n";
  SUBCASE("the end comes with them") { chunks += "0\r\n\r\n"; }
  SUBCASE("the end comes later") {}
  REQUIRE(rig.send(chunks));
  CHECK(rig.has(server, before + chunks));
  CHECK(segments_received(server) - segments < 10);
}

TEST_CASE("upstream: a head that asks for leave to send its body is sent at once") {
  HttpRig rig;
  TestPeer server = rig.ask();
  REQUIRE(rig.send(server, "HTTP/1.1 204 No Content\r\n\r\n"));
  REQUIRE(rig.contains(rig.client, "\r\n\r\n"));
  REQUIRE(
      rig.send("PUT /b HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"));
  REQUIRE(rig.contains(server, "content-length: 2\r\n\r\n"));
  REQUIRE(rig.send(server, "HTTP/1.1 100 Continue\r\n\r\n"));
  REQUIRE(rig.contains(rig.client, "100 Continue\r\n\r\n"));
  REQUIRE(rig.send("ok"));
  CHECK(rig.contains(server, "\r\n\r\nok"));
}
