#include "proxy/http/codec/response_parser.h"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace baton::proxy::http;
using namespace std::string_view_literals;

struct AcceptedResponse {
  explicit AcceptedResponse(std::string text, AnsweredRequest request = {})
      : bytes(std::move(text)) {
    CAPTURE(bytes);
    const MessageLimits limits;
    const Verdict verdict = ResponseParser(limits).parse(bytes, request, head);
    REQUIRE(verdict.complete());
    CHECK(verdict.consumed == bytes.size());
    for (std::size_t split = 0; split < bytes.size(); ++split) {
      ResponseParser parser(limits);
      ResponseHead again;
      REQUIRE(parser.parse(std::string_view(bytes).substr(0, split), request, again).need_more());
      REQUIRE(parser.parse(bytes, request, again).complete());
      CHECK(again.status == head.status);
      CHECK(again.framing == head.framing);
      CHECK(again.headers.size() == head.headers.size());
    }
  }
  std::string bytes;
  ResponseHead head;
};

const Rejection* response_rejection(std::string_view text, AnsweredRequest request = {},
                                    const MessageLimits& limits = {}) {
  CAPTURE(text);
  const std::vector<char> bytes(text.begin(), text.end());
  ResponseHead head;
  const Verdict verdict = ResponseParser(limits).parse({bytes.data(), bytes.size()}, request, head);
  ResponseParser slow_parser(limits);
  Verdict slow;
  for (std::size_t size = 0; size <= bytes.size() && slow.need_more(); ++size) {
    slow = slow_parser.parse({bytes.data(), size}, request, head);
  }
  CHECK(slow.rejection == verdict.rejection);
  if (verdict.rejected()) CHECK(verdict.status == 502);
  return verdict.rejection;
}

TEST_CASE("response parser: status lines") {
  const AcceptedResponse plain("HTTP/1.1 200 OK\r\n\r\n");
  CHECK(plain.head.status == 200);
  CHECK(plain.head.reason == "OK");
  CHECK(AcceptedResponse("HTTP/1.1 999 \r\n\r\n").head.status == 999);
  CHECK(AcceptedResponse("HTTP/1.1 599 a b\tc \xe4\r\n\r\n").head.reason == "a b\tc \xe4");
  CHECK(AcceptedResponse("HTTP/1.1 200 \r\n\r\n").head.reason.empty());
  CHECK(AcceptedResponse("HTTP/1.1 200\r\n\r\n").head.reason.empty());
  CHECK(AcceptedResponse("HTTP/1.0 404 Not Found\r\n\r\n").head.version == Version::Http10);
}

TEST_CASE("response parser: malformed first lines and headers") {
  struct Case {
    std::string_view bytes;
    const Rejection& expected;
  };
  const Case cases[] = {
      {"\r\nHTTP/1.1 200 OK\r\n\r\n", kBadVersion},
      {"ICY 200 OK\r\n\r\n", kBadVersion},
      {"http/1.1 200 OK\r\n\r\n", kBadVersion},
      {"<html>", kBadVersion},
      {"\0\0\0"sv, kBadVersion},
      {"SSH-2.0-x\r\n", kBadVersion},
      {"HTTP/2.0 200 OK\r\n\r\n", kUnsupportedVersion},
      {"HTTP/1.2 200 OK\r\n\r\n", kUnsupportedVersion},
      {"HTTP/0.9 200 OK\r\n\r\n", kUnsupportedVersion},
      {"HTTP/1.1\r\n\r\n", kBadStartLine},
      {"HTTP/1.1\t200 OK\r\n\r\n", kBadStartLine},
      {"HTTP/1.1  200 OK\r\n\r\n", kBadStatus},
      {"HTTP/1.1 000 OK\r\n\r\n", kBadStatus},
      {"HTTP/1.1 099 OK\r\n\r\n", kBadStatus},
      {"HTTP/1.1 1000 OK\r\n\r\n", kBadStatus},
      {"HTTP/1.1 20 OK\r\n\r\n", kBadStatus},
      {"HTTP/1.1 2000 OK\r\n\r\n", kBadStatus},
      {"HTTP/1.1 +20 OK\r\n\r\n", kBadStatus},
      {"HTTP/1.1 200OK\r\n\r\n", kBadStatus},
      {"HTTP/1.1 200\n\r\n", kBadStatus},
      {"HTTP/1.1 200 OK\nA: b\n\n", kBareLf},
      {"HTTP/1.1 200 OK\rA: b\r\n\r\n", kBareCr},
      {"HTTP/1.1 200\rX", kBareCr},
      {"HTTP/1.1 200 O\0K\r\n\r\n"sv, kControlCharacter},
      {"HTTP/1.1 200 OK\r\n A: b\r\n\r\n", kFoldedLine},
      {"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", kSpaceBeforeColon},
      {"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", kFoldedLine},
      {"HTTP/1.1 200 OK\r\nA\r\n\r\n", kBadHeaderName},
      {"HTTP/1.1 200 OK\r\nA: \x01\r\n\r\n", kControlCharacter},
      {"HTTP/1.1 200 OK\r\nConnection: @\r\n\r\n", kBadConnection},
  };
  for (const Case& refused : cases) {
    CAPTURE(refused.bytes);
    const Rejection* const why = response_rejection(refused.bytes);
    REQUIRE(why != nullptr);
    CHECK(why->flag == refused.expected.flag);
  }
}

TEST_CASE("response parser: malformed framing") {
  struct Case {
    std::string_view lines;
    const Rejection& expected;
  };
  const Case cases[] = {
      {"Content-Length: 5\r\nTransfer-Encoding: chunked", kLengthAndEncoding},
      {"Content-Length: 5\r\nContent-Length: 5", kRepeatedContentLength},
      {"Content-Length: 5\r\nContent-Length: 6", kRepeatedContentLength},
      {"Content-Length: 5, 5", kBadContentLength},
      {"Content-Length: -1", kBadContentLength},
      {"Content-Length: 0x1", kBadContentLength},
      {"Content-Length:", kBadContentLength},
      {"Content-Length: 9223372036854775808", kBadContentLength},
      {"Transfer-Encoding: gzip", kUnknownTransferCoding},
      {"Transfer-Encoding: identity", kUnknownTransferCoding},
      {"Transfer-Encoding: chunked, chunked", kBadTransferEncoding},
      {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", kBadTransferEncoding},
      {"Transfer-Encoding: \x0b"
       "chunked",
       kControlCharacter},
      {"Content_Length: 5", kBadHeaderName},
  };
  for (const Case& refused : cases) {
    CAPTURE(refused.lines);
    // Whatever the request was: a response that contradicts itself is not believed.
    for (const Method method : {Method::Get, Method::Head, Method::Connect}) {
      const Rejection* const why = response_rejection(
          "HTTP/1.1 200 OK\r\n" + std::string(refused.lines) + "\r\n\r\n", {.method = method});
      REQUIRE(why != nullptr);
      CHECK(why->flag == refused.expected.flag);
    }
  }
  const Rejection* const old =
      response_rejection("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
  REQUIRE(old != nullptr);
  CHECK(old->flag == kEncodingInOldVersion.flag);
}

TEST_CASE("response parser: how a body ends") {
  const AcceptedResponse sized("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
  CHECK(sized.head.framing == BodyFraming::Length);
  CHECK(sized.head.content_length == 5);
  CHECK(sized.head.persistence == Persistence::KeepAlive);
  const AcceptedResponse chunked("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
  CHECK(chunked.head.framing == BodyFraming::Chunked);
  const AcceptedResponse until_close("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n");
  CHECK(until_close.head.framing == BodyFraming::UntilClose);
  CHECK(until_close.head.persistence == Persistence::Close);
}

TEST_CASE("response parser: HEAD and 304 tell the length of another response") {
  const std::string text = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
  const AcceptedResponse head(text, {.method = Method::Head});
  CHECK(head.head.framing == BodyFraming::None);
  CHECK(head.head.content_length == 0);
  CHECK(head.head.headers.get(HeaderId::ContentLength) == "5");
  CHECK(AcceptedResponse("HTTP/1.1 200 OK\r\n\r\n", {.method = Method::Head}).head.framing ==
        BodyFraming::None);
  CHECK(AcceptedResponse("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                         {.method = Method::Head})
            .head.framing == BodyFraming::None);
  CHECK(AcceptedResponse("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n").head.framing ==
        BodyFraming::None);
}

TEST_CASE("response parser: 1xx and 204 have no body and may claim none") {
  CHECK(AcceptedResponse("HTTP/1.1 204 No Content\r\n\r\n").head.framing == BodyFraming::None);
  const AcceptedResponse zero("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n");
  CHECK(zero.head.framing == BodyFraming::None);
  CHECK_FALSE(zero.head.headers.has(HeaderId::ContentLength));
  const AcceptedResponse interim("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
  CHECK(interim.head.interim());
  CHECK(interim.head.framing == BodyFraming::None);
  for (const std::string status : {"100", "103", "204"}) {
    for (const std::string line : {"Content-Length: 5", "Transfer-Encoding: chunked"}) {
      const Rejection* const why =
          response_rejection("HTTP/1.1 " + status + " X\r\n" + line + "\r\n\r\n");
      REQUIRE(why != nullptr);
      CHECK(why->flag == kUnexpectedBody.flag);
    }
  }
}

TEST_CASE("response parser: 101 only when it was asked for") {
  const std::string text =
      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
  const AcceptedResponse switched(text, {.upgrade = "WebSocket"});
  CHECK(switched.head.framing == BodyFraming::Tunnel);
  CHECK(switched.head.upgrade == "websocket");
  CHECK_FALSE(switched.head.interim());
  CHECK(response_rejection(text) == &kUnexpectedUpgrade);
  CHECK(response_rejection(text, {.upgrade = "websocket2"}) == &kUnexpectedUpgrade);
  CHECK(response_rejection("HTTP/1.1 101 X\r\n\r\n", {.upgrade = "websocket"}) ==
        &kUnexpectedUpgrade);
}

TEST_CASE("response parser: CONNECT's success opens a tunnel") {
  const AnsweredRequest connect{.method = Method::Connect};
  const AcceptedResponse opened("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", connect);
  CHECK(opened.head.framing == BodyFraming::Tunnel);
  CHECK_FALSE(opened.head.headers.has(HeaderId::ContentLength));
  const AcceptedResponse refused("HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\n", connect);
  CHECK(refused.head.framing == BodyFraming::Length);
}

TEST_CASE("response parser: limits") {
  const MessageLimits limits{
      .start_line_bytes = 20, .header_bytes = 30, .header_count = 2, .body_bytes = 10};
  const auto rejection = [&](std::string_view text) {
    return response_rejection(text, {}, limits);
  };
  CHECK(rejection("HTTP/1.1 200 12345\r\n\r\n") == nullptr);
  CHECK(rejection("HTTP/1.1 200 123456\r\n\r\n") == &kStartLineTooLong);
  CHECK(rejection("HTTP/1.1 200 OK\r\nA: " + std::string(30, 'a')) == &kHeadersTooLarge);
  CHECK(rejection("HTTP/1.1 200 OK\r\nA: b\r\nA: b\r\nA: b\r\n\r\n") == &kTooManyHeaders);
  CHECK(rejection("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n") == &kBodyTooLarge);
}

}  // namespace
