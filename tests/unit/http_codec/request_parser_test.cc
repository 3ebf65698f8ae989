#include "proxy/http/codec/request_parser.h"

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace baton::proxy::http;

// An accepted request together with its bytes.
class Accepted {
 public:
  explicit Accepted(std::string bytes) : bytes_(std::move(bytes)) {
    CAPTURE(bytes_);
    const MessageLimits limits;
    const Verdict verdict = RequestParser(limits).parse(bytes_, head);
    REQUIRE(verdict.complete());
    CHECK(verdict.consumed == bytes_.size());
  }
  RequestHead head;

 private:
  std::string bytes_;
};

Accepted accepted_with(std::string_view lines) {
  return Accepted("POST / HTTP/1.1\r\nHost: x\r\n" + std::string(lines) + "\r\n");
}

// Everything that a head says, to compare two readings.
std::string description(const RequestHead& head) {
  std::string text;
  for (const std::string_view part :
       {head.method_name, head.target, head.path, head.authority, head.upgrade}) {
    text.append(part).append("|");
  }
  text +=
      std::to_string(static_cast<int>(head.framing)) + "," + std::to_string(head.content_length) +
      "," + std::to_string(static_cast<int>(head.persistence)) + "," +
      std::to_string(static_cast<int>(head.version)) + "," + std::to_string(head.expects_continue);
  for (const HeaderField& field : head.headers) {
    text.append("\n").append(field.name()).append("=").append(field.value());
    text += "#" + std::to_string(static_cast<int>(field.id()));
  }
  return text;
}

const std::string_view kValid[] = {
    "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "\r\n\r\nGET / HTTP/1.0\r\n\r\n",
    "POST /a/b?c=d&e HTTP/1.1\r\nhost: api.example.com:8080\r\nContent-Length: 12\r\n"
    "Content-Type: application/json\r\nX-Empty:\r\nX-Blank: \t \r\nX-Tab: a\tb \t\r\n"
    "Cookie: a=b; c=\"d\"\r\nExpect: 100-continue\r\n\r\n",
    "PUT http://x.test/y HTTP/1.1\r\nHost: X.TEST\r\nTransfer-Encoding: Chunked\r\n"
    "Connection: keep-alive, Foo\r\nFoo: 1\r\nTrailer: X-Sum\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\nConnection: close\r\n\r\n",
    "CONNECT x.test:443 HTTP/1.1\r\nHost: x.test\r\n\r\n",
    "GET /chat HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
};

TEST_CASE("request parser: the pieces in which a request comes make no difference") {
  const MessageLimits limits;
  for (const std::string_view bytes : kValid) {
    CAPTURE(bytes);
    RequestHead head;
    REQUIRE(RequestParser(limits).parse(bytes, head).complete());
    const std::string expected = description(head);

    for (std::size_t step = 1; step <= 7; ++step) {
      RequestParser parser(limits);
      for (std::size_t size = 0; size < bytes.size(); size += step) {
        // Elsewhere each time, as in a buffer that grows.
        const std::vector<char> piece(bytes.begin(), bytes.begin() + size);
        REQUIRE(parser.parse({piece.data(), piece.size()}, head).need_more());
      }
      REQUIRE(parser.parse(bytes, head).complete());
      CHECK(description(head) == expected);
    }
    for (std::size_t split = 0; split < bytes.size(); ++split) {
      RequestParser parser(limits);
      REQUIRE(parser.parse(bytes.substr(0, split), head).need_more());
      const Verdict verdict = parser.parse(bytes, head);
      REQUIRE(verdict.complete());
      CHECK(verdict.consumed == bytes.size());
      CHECK(description(head) == expected);
    }
  }
}

TEST_CASE("request parser: pipelined requests come one after the other") {
  std::string bytes;
  for (const std::string_view one : kValid) bytes += one;
  const MessageLimits limits;
  RequestParser parser(limits);
  RequestHead head;
  std::string_view rest = bytes;
  for (const std::string_view one : kValid) {
    const Verdict verdict = parser.parse(rest, head);
    REQUIRE(verdict.complete());
    CHECK(verdict.consumed == one.size());
    rest.remove_prefix(verdict.consumed);
    // Nothing of the one before is left.
    RequestHead fresh;
    REQUIRE(RequestParser(limits).parse(one, fresh).complete());
    CHECK(description(head) == description(fresh));
  }
  CHECK(rest.empty());
  CHECK(parser.parse(rest, head).need_more());
  CHECK_FALSE(parser.started());
}

TEST_CASE("request parser: a head as long as the limits is not read again and again") {
  const MessageLimits limits{.header_bytes = 1U << 20};
  RequestParser parser(limits);
  RequestHead head;
  const std::string bytes = "GET / HTTP/1.1\r\nHost: x\r\nA: " + std::string(1U << 19, 'a');
  // Quadratic work would be 2^37 bytes, far beyond any test's patience.
  for (std::size_t size = 1; size <= bytes.size(); ++size) {
    REQUIRE(parser.parse(std::string_view(bytes).substr(0, size), head).need_more());
  }
  CHECK(parser.parse(bytes + "\r\n\r\n", head).complete());
}

TEST_CASE("request parser: methods") {
  const auto method = [](std::string name) {
    return Accepted(name + " / HTTP/1.1\r\nHost: x\r\n\r\n").head.method;
  };
  CHECK(method("GET") == Method::Get);
  CHECK(method("HEAD") == Method::Head);
  CHECK(method("POST") == Method::Post);
  CHECK(method("PUT") == Method::Put);
  CHECK(method("DELETE") == Method::Delete);
  CHECK(method("OPTIONS") == Method::Options);
  CHECK(method("TRACE") == Method::Trace);
  CHECK(method("PATCH") == Method::Patch);
  CHECK(method("get") == Method::Other);
  CHECK(method("PROPFIND") == Method::Other);
  CHECK(method("M-SEARCH!") == Method::Other);
}

TEST_CASE("request parser: the four forms of a target") {
  const Accepted origin("GET /a//b/../c?d=%00{|}\"<\\>^` HTTP/1.1\r\nHost: x:1\r\n\r\n");
  CHECK(origin.head.path == "/a//b/../c?d=%00{|}\"<\\>^`");
  CHECK(origin.head.authority == "x:1");
  const Accepted absolute("GET HTTP://x:1/a?b HTTP/1.1\r\nHost: X:1\r\n\r\n");
  CHECK(absolute.head.target == "HTTP://x:1/a?b");
  CHECK(absolute.head.path == "/a?b");
  CHECK(absolute.head.authority == "x:1");
  CHECK(Accepted("GET https://x HTTP/1.1\r\nHost: x\r\n\r\n").head.path == "/");
  CHECK(Accepted("OPTIONS http://x HTTP/1.1\r\nHost: x\r\n\r\n").head.path == "*");
  CHECK(Accepted("GET http://x/a HTTP/1.0\r\n\r\n").head.authority == "x");
  CHECK(Accepted("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n").head.path == "*");
  const Accepted connect("CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\r\n");
  CHECK(connect.head.method == Method::Connect);
  CHECK(connect.head.authority == "[::1]:443");
  CHECK(connect.head.path.empty());
  for (const char* line : {"CONNECT x:1", "TRACE /"}) {
    const Accepted empty(std::string(line) + " HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    CHECK(empty.head.framing == BodyFraming::None);
  }
}

TEST_CASE("request parser: hosts") {
  for (const std::string_view host :
       {"x", "X", "a.b", "a-b_c~d", "127.0.0.1", "127.0.0.1:0", "x:65535", "[::1]", "[::1]:80",
        "[::ffff:1.2.3.4]", "[2001:DB8::a]:8080", "xn--n3h.test", "x."}) {
    CHECK(Accepted("GET / HTTP/1.1\r\nHost:" + std::string(host) + " \r\n\r\n").head.authority ==
          host);
  }
  CHECK(Accepted("GET / HTTP/1.0\r\n\r\n").head.authority.empty());
}

TEST_CASE("request parser: bodies") {
  CHECK(accepted_with("").head.framing == BodyFraming::None);
  const Accepted sized = accepted_with("Content-Length: 9223372036854775807\r\n");
  CHECK(sized.head.framing == BodyFraming::Length);
  CHECK(sized.head.content_length == 9223372036854775807U);
  CHECK(accepted_with("Content-Length:  007\t\r\n").head.content_length == 7);
  CHECK(accepted_with("Content-Length: 0\r\n").head.framing == BodyFraming::Length);
  CHECK(accepted_with("TRANSFER-encoding:chunked\r\n").head.framing == BodyFraming::Chunked);
  CHECK(accepted_with("Transfer-Encoding: \t cHuNkEd \r\n").head.framing == BodyFraming::Chunked);
  CHECK(accepted_with("TE: chunked\r\n").head.framing == BodyFraming::None);
  CHECK(accepted_with("X-Transfer-Encoding: chunked\r\n").head.framing == BodyFraming::None);
}

TEST_CASE("request parser: keep-alive or close") {
  const auto kept = [](std::string_view version, std::string_view lines) {
    const Accepted request("GET / HTTP/1." + std::string(version) + "\r\nHost: x\r\n" +
                           std::string(lines) + "\r\n");
    return request.head.persistence == Persistence::KeepAlive;
  };
  CHECK(kept("1", ""));
  CHECK(kept("1", "Connection: keep-alive\r\n"));
  CHECK_FALSE(kept("1", "Connection: Close\r\n"));
  CHECK_FALSE(kept("1", "Connection: keep-alive, close\r\n"));
  CHECK_FALSE(kept("1", "Connection: x\r\nConnection: ,,close,\r\n"));
  CHECK(kept("1", "Proxy-Connection: close\r\n"));
  CHECK_FALSE(kept("0", ""));
  CHECK(kept("0", "Connection: Keep-Alive\r\n"));
  CHECK_FALSE(kept("0", "Connection: close, keep-alive\r\n"));
}

TEST_CASE("request parser: an upgrade needs both headers and HTTP/1.1") {
  CHECK(accepted_with("Connection: upgrade\r\nUpgrade: websocket\r\n").head.upgrade == "websocket");
  CHECK(accepted_with("Upgrade: h2c\r\nConnection: x, Upgrade\r\n").head.upgrade == "h2c");
  CHECK(accepted_with("Upgrade: websocket\r\n").head.upgrade.empty());
  CHECK(accepted_with("Connection: upgrade\r\n").head.upgrade.empty());
  CHECK(accepted_with("Connection: upgrade\r\nUpgrade: a\r\nUpgrade: b\r\n").head.upgrade.empty());
  const Accepted old("GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
  CHECK(old.head.upgrade.empty());
}

TEST_CASE("request parser: 100-continue matters when a body is to come") {
  CHECK(accepted_with("Expect: 100-Continue\r\nContent-Length: 1\r\n").head.expects_continue);
  CHECK(accepted_with("Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n")
            .head.expects_continue);
  CHECK_FALSE(accepted_with("Expect: 100-continue\r\nContent-Length: 0\r\n").head.expects_continue);
  CHECK_FALSE(accepted_with("Expect: 100-continue\r\n").head.expects_continue);
  CHECK_FALSE(accepted_with("Content-Length: 1\r\n").head.expects_continue);
  const Accepted old("POST / HTTP/1.0\r\nExpect: x\r\nContent-Length: 1\r\n\r\n");
  CHECK_FALSE(old.head.expects_continue);
  CHECK_FALSE(old.head.headers.has(HeaderId::Expect));
}

TEST_CASE("request parser: Connection removes only lines that Baton does not know") {
  const Accepted request = accepted_with(
      "X-Hop: 1\r\nx-hop: 2\r\nCookie: c\r\nX-Forwarded-For: 1.2.3.4\r\nContent-Length: 5\r\n"
      "Connection: x-hop, cookie, X-Forwarded-For, host, content-length, X-None\r\n");
  CHECK_FALSE(request.head.headers.find("X-Hop") != nullptr);
  CHECK(request.head.headers.get(HeaderId::Cookie) == "c");
  CHECK(request.head.headers.get("X-Forwarded-For") == "1.2.3.4");
  CHECK(request.head.headers.get(HeaderId::Host) == "x");
  CHECK(request.head.framing == BodyFraming::Length);
}

TEST_CASE("request parser: a head follows its bytes to another place") {
  std::string received =
      "GET http://x/a HTTP/1.1\r\nHost: x\r\nA: b\r\nUpgrade: u\r\n"
      "Connection: upgrade\r\n\r\n";
  const MessageLimits limits;
  RequestHead head;
  REQUIRE(RequestParser(limits).parse(received, head).complete());
  head.headers.add("Added", "c");
  const std::string expected = description(head);
  const auto copy = std::make_unique<char[]>(received.size());
  received.copy(copy.get(), received.size());
  head.rebase(received, copy.get());
  received.assign(received.size(), '!');
  CHECK(description(head) == expected);
}

TEST_CASE("request parser: a waiting one is small") { CHECK(sizeof(RequestParser) <= 24); }

}  // namespace
