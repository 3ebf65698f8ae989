#include "proxy/http/codec/write_head.h"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

#include "proxy/http/codec/request_parser.h"
#include "proxy/http/codec/response_parser.h"
#include "proxy/http/codec/status_reason.h"

namespace {

using namespace baton::proxy;
using namespace baton::proxy::http;

struct Request {
  explicit Request(std::string text) : bytes(std::move(text)) {
    REQUIRE(RequestParser(limits).parse(bytes, head).complete());
  }
  std::string written(ConnectionLine connection = ConnectionLine::None) const {
    Buffer out;
    write_request_head(out, head, connection);
    return std::string(out.view());
  }
  const MessageLimits limits;
  const std::string bytes;
  RequestHead head;
};

struct Response {
  explicit Response(std::string text, AnsweredRequest request = {}) : bytes(std::move(text)) {
    REQUIRE(ResponseParser(limits).parse(bytes, request, head).complete());
  }
  std::string written(ConnectionLine connection = ConnectionLine::None) const {
    Buffer out;
    write_response_head(out, head, connection);
    return std::string(out.view());
  }
  const MessageLimits limits;
  const std::string bytes;
  ResponseHead head;
};

TEST_CASE("write request: lines pass in their order and case, Host comes first") {
  const Request request(
      "GET /a?b HTTP/1.1\r\nUser-AGENT: t\r\nhOST: x\r\nX-Empty:\r\nX-Wide:  a \t b \t\r\n\r\n");
  CHECK(request.written() ==
        "GET /a?b HTTP/1.1\r\nHost: x\r\nUser-AGENT: t\r\nX-Empty: \r\nX-Wide: a \t b\r\n\r\n");
}

TEST_CASE("write request: framing is made anew") {
  CHECK(Request("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 007\r\nA: b\r\n\r\n").written() ==
        "PUT / HTTP/1.1\r\nHost: x\r\nA: b\r\ncontent-length: 7\r\n\r\n");
  CHECK(Request("PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: CHUNKED\r\nA: b\r\n\r\n")
            .written() ==
        "PUT / HTTP/1.1\r\nHost: x\r\nA: b\r\ntransfer-encoding: chunked\r\n\r\n");
  Request changed("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\n");
  changed.head.framing = BodyFraming::Chunked;
  CHECK(changed.written() == "PUT / HTTP/1.1\r\nHost: x\r\ntransfer-encoding: chunked\r\n\r\n");
  // Not even a filter can add a second framing.
  Request added("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  added.head.headers.add("Content-Length", "5");
  added.head.headers.add("Transfer-Encoding", "chunked");
  added.head.headers.add("Host", "y");
  CHECK(added.written() == "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
}

TEST_CASE("write request: hop-by-hop lines stay behind, nominated ones too") {
  const Request request(
      "GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, x-hop\r\nKeep-Alive: timeout=5\r\n"
      "Proxy-Connection: close\r\nTE: trailers\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\n"
      "X-Hop: 1\r\nTrailer: X-Sum\r\nX-End: 2\r\n\r\n");
  CHECK(request.written() == "GET / HTTP/1.1\r\nHost: x\r\nTrailer: X-Sum\r\nX-End: 2\r\n\r\n");
  CHECK(request.written(ConnectionLine::Close) ==
        "GET / HTTP/1.1\r\nHost: x\r\nTrailer: X-Sum\r\nX-End: 2\r\nconnection: close\r\n\r\n");
}

TEST_CASE("write request: an upgrade goes on") {
  const Request request(
      "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  CHECK(request.written(ConnectionLine::Upgrade) ==
        "GET / HTTP/1.1\r\nHost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
}

TEST_CASE("write request: edits take effect") {
  Request request("GET /old HTTP/1.1\r\nHost: old\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n");
  request.head.path = request.head.headers.keep("/new");
  request.head.authority = "new:80";
  request.head.headers.remove("b");
  request.head.headers.set("A", "changed");
  request.head.headers.add("x-request-id", "7");
  CHECK(request.written() ==
        "GET /new HTTP/1.1\r\nHost: new:80\r\nA: changed\r\nC: 3\r\nx-request-id: 7\r\n\r\n");
}

TEST_CASE("write request: absolute targets become paths, HTTP/1.0 becomes 1.1") {
  CHECK(Request("GET http://x/a HTTP/1.0\r\n\r\n").written() ==
        "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(Request("GET / HTTP/1.0\r\n\r\n").written() == "GET / HTTP/1.1\r\nHost: \r\n\r\n");
  CHECK(Request("CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n").written() ==
        "CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n");
}

TEST_CASE("write request: a head that moved is written from its new place") {
  Request request("GET /a HTTP/1.1\r\nHost: x\r\nA: 1\r\nEmpty: \r\nB: 2\r\n\r\n");
  const std::string copy = request.bytes;
  request.head.rebase(request.bytes, copy.data());
  const_cast<std::string&>(request.bytes).assign(request.bytes.size(), '!');
  CHECK(request.written() == "GET /a HTTP/1.1\r\nHost: x\r\nA: 1\r\nEmpty: \r\nB: 2\r\n\r\n");
}

TEST_CASE("write response: lines pass, framing is made anew") {
  CHECK(Response("HTTP/1.0 200 Fine\r\nServer: s\r\nContent-Length: 5\r\nDate: d\r\n\r\n")
            .written() == "HTTP/1.1 200 Fine\r\nServer: s\r\nDate: d\r\ncontent-length: 5\r\n\r\n");
  CHECK(Response("HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n")
            .written(ConnectionLine::KeepAlive) ==
        "HTTP/1.1 200 \r\ntransfer-encoding: chunked\r\nconnection: keep-alive\r\n\r\n");
  CHECK(Response("HTTP/1.1 200 OK\r\n\r\n").written(ConnectionLine::Close) ==
        "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
}

TEST_CASE("write response: a length that tells of another response stays") {
  CHECK(Response("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", {.method = Method::Head})
            .written() == "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
  CHECK(Response("HTTP/1.1 304 X\r\nContent-Length: 5\r\n\r\n").written() ==
        "HTTP/1.1 304 X\r\nContent-Length: 5\r\n\r\n");
  Response empty("HTTP/1.1 204 X\r\n\r\n");
  empty.head.headers.add("Content-Length", "5");
  CHECK(empty.written() == "HTTP/1.1 204 X\r\n\r\n");
}

TEST_CASE("write response: switching protocols") {
  const Response response(
      "HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
      "a\r\n\r\n",
      {.upgrade = "websocket"});
  CHECK(response.written(ConnectionLine::Upgrade) ==
        "HTTP/1.1 101 S\r\nSec-WebSocket-Accept: a\r\nconnection: upgrade\r\n"
        "upgrade: websocket\r\n\r\n");
}

TEST_CASE("status reason: named ones, and none for the rest") {
  CHECK(status_reason(100) == "Continue");
  CHECK(status_reason(404) == "Not Found");
  CHECK(status_reason(505) == "HTTP Version Not Supported");
  for (const std::uint16_t unnamed : {0, 99, 299, 418, 506, 999}) {
    CHECK(status_reason(unnamed).empty());
  }
}

}  // namespace
