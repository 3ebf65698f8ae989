#include "tests/unit/http/http_rig.h"

using namespace baton;
using namespace baton::fixture;
using namespace std::chrono_literals;

TEST_CASE("http: a request goes to the upstream and its response comes back") {
  HttpRig rig;
  REQUIRE(rig.send("GET /path?q=1 HTTP/1.1\r\nHost: a\r\nX-Mine: yes\r\n\r\n"));
  TestPeer server = rig.accept();
  CHECK(rig.has(server,
                "GET /path?q=1 HTTP/1.1\r\nHost: a\r\nX-Mine: yes\r\n" + kForwarded + "\r\n"));
  REQUIRE(rig.send(server, "HTTP/1.1 200 OK\r\nX-Its: own\r\nContent-Length: 5\r\n\r\nhello"));
  CHECK(rig.has(rig.client, "HTTP/1.1 200 OK\r\nX-Its: own\r\ncontent-length: 5\r\n\r\nhello"));
  CHECK(rig.http_metric("requests_total") == 1);
  CHECK(rig.http_metric("requests_active") == 0);
}

TEST_CASE("http: both connections are kept for the next request") {
  HttpRig rig;
  TestPeer server = rig.ask();
  REQUIRE(rig.send(server, "HTTP/1.1 204 No Content\r\n\r\n"));
  REQUIRE(rig.has(rig.client, "HTTP/1.1 204 No Content\r\n\r\n"));
  TestPeer next_client = rig.worker->connect();
  rig.client = std::move(next_client);
  CHECK(rig.exchange(server));
  CHECK(rig.exchange(server));
  CHECK(rig.worker->cluster_metric("connections_total") == 1);
  CHECK(rig.worker->listener_metric("connections_total") == 2);
}

TEST_CASE("http: a request in single bytes is the same request") {
  HttpRig rig;
  const std::string request =
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
  for (const char c : request) REQUIRE(rig.send({&c, 1}));
  TestPeer server = rig.accept();
  CHECK(rig.contains(server, "\r\n0\r\n\r\n"));
  CHECK(server.received().starts_with("POST / HTTP/1.1\r\nHost: a\r\n" + kForwarded +
                                      "transfer-encoding: chunked\r\n\r\n"));
  for (const char c : std::string_view("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")) {
    REQUIRE(rig.send(server, {&c, 1}));
  }
  CHECK(rig.has(rig.client, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"));
}

TEST_CASE("http: pipelined requests are answered in order, one at a time") {
  HttpRig rig;
  REQUIRE(
      rig.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n"
               "GET /3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
  TestPeer server = rig.accept();
  std::string answers;
  for (const char* path : {"/1", "/2", "/3"}) {
    REQUIRE(rig.contains(server, std::string("GET ") + path));
    REQUIRE(rig.contains(server, "\r\n\r\n"));
    REQUIRE(rig.send(server, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + std::string(path)));
    const std::string close = std::string(path) == "/3" ? "connection: close\r\n" : "";
    answers += "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n" + close + "\r\n" + path;
    CHECK(rig.has(rig.client, answers));
  }
  CHECK(rig.worker->sees(rig.client, Peer::Ended));
  CHECK(rig.worker->is_empty());
}

TEST_CASE("http: chunks and trailers pass both ways, framed anew") {
  HttpRig rig;
  REQUIRE(
      rig.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
               "5;ext=1\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"));
  TestPeer server = rig.accept();
  CHECK(
      rig.has(server, "POST / HTTP/1.1\r\nHost: a\r\n" + kForwarded +
                          "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"));
  REQUIRE(rig.send(server,
                   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                   "2\r\nok\r\n0\r\nX-End: 1\r\n\r\n"));
  CHECK(rig.has(rig.client,
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
                "2\r\nok\r\n0\r\nX-End: 1\r\n\r\n"));
  CHECK(rig.http_metric("requests_active") == 0);
}

TEST_CASE("http: trailers that Connection names end here, both ways") {
  HttpRig rig;
  const std::string chunked =
      "Connection: x-foo, keep-alive\r\nConnection: ,X-Bar\r\nTransfer-Encoding: chunked\r\n\r\n"
      "2\r\nok\r\n";
  const std::string trailers = "0\r\nX-Foo: 1\r\nX-Sum: 2\r\nx-bar: 3\r\nX-Foo: 4\r\n\r\n";
  const std::string forwarded = "transfer-encoding: chunked\r\n\r\n2\r\nok\r\n";
  REQUIRE(rig.send("POST / HTTP/1.1\r\nHost: a\r\n" + chunked));
  TestPeer server = rig.accept();
  REQUIRE(rig.contains(server, "ok\r\n"));
  REQUIRE(rig.send(trailers));
  CHECK(rig.has(
      server, "POST / HTTP/1.1\r\nHost: a\r\n" + kForwarded + forwarded + "0\r\nX-Sum: 2\r\n\r\n"));
  REQUIRE(rig.send(server, "HTTP/1.1 200 OK\r\n" + chunked));
  REQUIRE(rig.contains(rig.client, "ok\r\n"));
  REQUIRE(rig.send(server, trailers));
  CHECK(rig.has(rig.client, "HTTP/1.1 200 OK\r\n" + forwarded + "0\r\nX-Sum: 2\r\n\r\n"));
}

TEST_CASE("http: a body without a length becomes chunks, or ends with the connection for 1.0") {
  for (const bool old : {false, true}) {
    CAPTURE(old);
    HttpRig rig;
    REQUIRE(rig.send(old ? "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"
                         : "GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    TestPeer server = rig.accept();
    REQUIRE(rig.contains(server, "\r\n\r\n"));
    REQUIRE(rig.send(server, "HTTP/1.0 200 OK\r\n\r\nbody"));
    REQUIRE(rig.contains(rig.client, "body"));
    server.close();
    CHECK(rig.has(rig.client, old ? "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nbody"
                                  : "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
                                    "4\r\nbody\r\n0\r\n\r\n"));
    if (old) CHECK(rig.worker->sees(rig.client, Peer::Ended));
  }
}

TEST_CASE("http: 100-continue and other interim responses pass to a client of 1.1") {
  HttpRig rig;
  REQUIRE(
      rig.send("PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"));
  TestPeer server = rig.accept();
  REQUIRE(rig.contains(server, "Expect: 100-continue"));
  REQUIRE(rig.send(server, "HTTP/1.1 100 Continue\r\n\r\n"));
  REQUIRE(rig.has(rig.client, "HTTP/1.1 100 Continue\r\n\r\n"));
  REQUIRE(rig.send("abc"));
  REQUIRE(rig.contains(server, "abc"));
  REQUIRE(rig.send(server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
  CHECK(rig.has(rig.client,
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
}

TEST_CASE("http: HEAD and 304 have a length and no body, and the connection goes on") {
  HttpRig rig;
  TestPeer server = rig.ask("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
  REQUIRE(rig.send(server, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"));
  CHECK(rig.has(rig.client, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"));
  rig.client = rig.worker->connect();
  CHECK(rig.exchange(server));
}

TEST_CASE("http: what is not HTTP is refused and never forwarded") {
  for (const char* request :
       {"GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\nHost: a\n\n", "rubbish\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"}) {
    CAPTURE(request);
    HttpRig rig;
    REQUIRE(rig.send(request));
    CHECK(rig.starts_with(rig.client, "HTTP/1.1 400 Bad Request\r\n"));
    CHECK(rig.worker->sees(rig.client, Peer::Ended));
    rig.client.close();
    CHECK(rig.worker->is_empty());
    CHECK(rig.worker->cluster_metric("connections_total") == 0);
    CHECK(rig.http_metric("rejected_total") == 1);
  }
}

TEST_CASE("http: a bad chunk in a request ends it on both sides") {
  HttpRig rig;
  REQUIRE(rig.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"));
  TestPeer server = rig.accept();
  REQUIRE(rig.contains(server, "abc"));
  REQUIRE(rig.send("xyz\r\n"));
  CHECK(rig.starts_with(rig.client, "HTTP/1.1 400 Bad Request\r\n"));
  CHECK(rig.worker->until([&] { return server.read() != Peer::Open; }));
}

TEST_CASE("http: a client that goes away frees the upstream") {
  HttpRig rig;
  TestPeer server = rig.ask();
  rig.client.close();
  CHECK(rig.worker->until([&] { return server.read() != Peer::Open; }));
  CHECK(rig.worker->is_empty());
  CHECK(rig.http_metric("requests_active") == 0);
}

TEST_CASE("http: a client that half-closes gets its answer") {
  HttpRig rig;
  REQUIRE(rig.send(kGet));
  rig.client.end();
  TestPeer server = rig.accept();
  REQUIRE(rig.contains(server, "\r\n\r\n"));
  REQUIRE(rig.send(server, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
  CHECK(rig.contains(rig.client, "\r\n\r\nok"));
  CHECK(rig.worker->sees(rig.client, Peer::Ended));
}

TEST_CASE("http: what a client has sent before it half-closed is answered, all of it") {
  HttpRig rig;
  REQUIRE(
      rig.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n"
               "GET /part HTTP/1.1\r\n"));
  rig.client.end();
  TestPeer server = rig.accept();
  for (const char* path : {"GET /1", "GET /2"}) {
    REQUIRE(rig.contains(server, path));
    REQUIRE(rig.send(server, "HTTP/1.1 204 No Content\r\n\r\n"));
  }
  CHECK(rig.has(rig.client, "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"));
  CHECK(rig.worker->sees(rig.client, Peer::Ended));
}

TEST_CASE("http: while draining a response says that it is the last one") {
  HttpRig rig;
  TestPeer server = rig.ask();
  rig.worker->drain.begin(10s, proxy::DrainStrategy::Immediate);
  REQUIRE(rig.send(server, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
  CHECK(rig.has(rig.client, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"));
  CHECK(rig.worker->sees(rig.client, Peer::Ended));
}

TEST_CASE("http: an upgraded connection is a tunnel, bytes sent ahead included") {
  HttpRig rig;
  REQUIRE(
      rig.send("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"));
  TestPeer server = rig.accept();
  REQUIRE(rig.contains(server, "connection: upgrade\r\nupgrade: websocket\r\n\r\n"));
  REQUIRE(rig.send(server,
                   "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
                   "Upgrade: websocket\r\n\r\nearly"));
  REQUIRE(rig.starts_with(rig.client, "HTTP/1.1 101 Switching Protocols\r\n"));
  CHECK(rig.contains(rig.client, "\r\n\r\nearly"));
  REQUIRE(rig.send("ping"));
  CHECK(rig.contains(server, "ping"));
  REQUIRE(rig.send(server, "pong"));
  CHECK(rig.contains(rig.client, "pong"));
  server.close();
  CHECK(rig.worker->sees(rig.client, Peer::Ended));
  rig.client.close();
  CHECK(rig.worker->is_empty());
  CHECK(rig.worker->cluster_metric("connections_active") == 0);
  CHECK(rig.http_metric("upgrades_total") == 1);
}

TEST_CASE("http: a head that does not come is answered 408, silence is closed") {
  HttpRig rig({.timeouts = {.header = 30ms}});
  REQUIRE(rig.send("GET / HTTP/1.1\r\nHo"));
  CHECK(rig.starts_with(rig.client, "HTTP/1.1 408 Request Timeout\r\n"));
  CHECK(rig.worker->sees(rig.client, Peer::Ended));
}

TEST_CASE("http: a large body both ways arrives whole, whoever is slow") {
  HttpRig rig;
  const std::string body = pattern(3'000'000, 1);
  const std::string head = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n";
  std::string_view left = body;
  REQUIRE(rig.send(head));
  TestPeer server = rig.accept();
  REQUIRE(rig.worker->until([&] {
    if (!left.empty()) left.remove_prefix(rig.client.write(left));
    server.read(10'000);
    return server.received().ends_with(std::string_view(body).substr(body.size() - 64)) &&
           left.empty();
  }));
  CHECK(std::string_view(server.received()).substr(server.received().find("\r\n\r\n") + 4) == body);
  const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + body;
  left = answer;
  REQUIRE(rig.worker->until([&] {
    if (!left.empty()) left.remove_prefix(server.write(left));
    rig.client.read(10'000);
    return rig.client.received().size() >= answer.size();
  }));
  CHECK(rig.client.received().ends_with(body));
}

TEST_CASE("http: a request of 1.0 without a Host is for the address that its client asked") {
  HttpRig rig;
  REQUIRE(rig.send("GET / HTTP/1.0\r\n\r\n"));
  TestPeer server = rig.accept();
  CHECK(rig.starts_with(server, "GET / HTTP/1.1\r\nHost: 127.0.0.1:"));
  CHECK(rig.contains(server, "x-forwarded-host: 127.0.0.1:"));
}

TEST_CASE("http: behind an answer to a client that waits for a 100 nothing is read") {
  HttpRig rig;
  TestPeer server =
      rig.ask("PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 30\r\n\r\n");
  REQUIRE(rig.send(server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
  CHECK(rig.has(rig.client, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"));
  // A body, or a request of its own: to be neither.
  rig.client.write("GET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(rig.worker->until([&] {
    rig.client.read();
    return rig.client.state() != Peer::Open;
  }));
  CHECK(rig.http_metric("requests_total") == 1);
}

TEST_CASE("http: an error ahead of a long request's end says that the connection closes") {
  HttpRig rig;
  REQUIRE(rig.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nx"));
  TestPeer server = rig.accept();
  REQUIRE(rig.contains(server, "\r\n\r\nx"));
  REQUIRE(rig.send(server, "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"));
  CHECK(rig.has(rig.client, "HTTP/1.1 403 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"));
}

TEST_CASE("http: a redirect leads a client to where a trusted proxy says it has come from") {
  HttpRig rig({.forwarded = {.trusted_hops = 1},
               .routes = routed(proxy::http::RedirectAction{.path = "/new"}).routes});
  REQUIRE(
      rig.send("GET / HTTP/1.1\r\nHost: inner\r\nX-Forwarded-Proto: https\r\n"
               "X-Forwarded-Host: www.example.com\r\n\r\n"));
  CHECK(rig.contains(rig.client, "location: https://www.example.com/new\r\n"));
}

TEST_CASE("http: OPTIONS and TRACE go as many hops as they may") {
  HttpRig rig;
  TestPeer server = rig.ask("OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 10\r\n\r\n");
  CHECK(rig.contains(server, "Max-Forwards: 9\r\n"));
  REQUIRE(rig.send(server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
  REQUIRE(rig.contains(rig.client, "\r\n\r\n"));
  rig.client = rig.worker->connect();
  REQUIRE(rig.send("OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n"));
  CHECK(rig.starts_with(rig.client, "HTTP/1.1 200 OK\r\n"));
  rig.client = rig.worker->connect();
  REQUIRE(rig.send("TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n"));
  CHECK(rig.starts_with(rig.client, "HTTP/1.1 405 Method Not Allowed\r\n"));
  rig.client = rig.worker->connect();
  REQUIRE(rig.send("GET / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n"));
  CHECK(rig.contains(server, "GET / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n"));
}

TEST_CASE("http: a 426 says which protocol is required") {
  HttpRig rig;
  TestPeer server = rig.ask();
  REQUIRE(rig.send(server,
                   "HTTP/1.1 426 Upgrade Required\r\nConnection: upgrade\r\nUpgrade: foo/2\r\n"
                   "Content-Length: 0\r\n\r\n"));
  CHECK(rig.contains(rig.client, "connection: upgrade\r\nupgrade: foo/2\r\n\r\n"));
}
