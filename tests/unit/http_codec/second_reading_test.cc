// What the codec accepts and writes out is read in one way only, whoever reads it.
#include <doctest/doctest.h>

#include <random>
#include <string>
#include <string_view>

#include "naive_reader.h"
#include "proxy/http/codec/request_parser.h"
#include "proxy/http/codec/response_parser.h"
#include "proxy/http/codec/write_head.h"

namespace {

using namespace baton::proxy;
using namespace baton::proxy::http;
using namespace std::string_view_literals;

// What request smuggling is made of.
constexpr std::string_view kPieces[] = {
    "\r\n",
    "\n",
    "\r",
    "\r\n\r\n",
    "\n\n",
    " ",
    "\t",
    "\0"sv,
    "\x0b",
    "\x0c",
    "\x7f",
    "\x80",
    "\xa0",
    ":",
    ";",
    ",",
    "_",
    "-",
    "chunked",
    "Chunked",
    "xchunked",
    "identity",
    "gzip",
    "5",
    "0",
    "+5",
    "0x5",
    "5, 5",
    "Content-Length: 5\r\n",
    "Content-Length: 6\r\n",
    "content-length:5\r\n",
    "Content-Length : 5\r\n",
    "Content_Length: 5\r\n",
    " Content-Length: 5\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: x\r\n",
    "transfer-encoding:chunked\r\n",
    "Transfer-Encoding : chunked\r\n",
    "Transfer_Encoding: chunked\r\n",
    "Transfer-Encoding:\r\n chunked\r\n",
    "Transfer-Encoding:\tchunked\r\n",
    "TE: chunked\r\n",
    "Host: y\r\n",
    "Host : y\r\n",
    "X: y\r\n",
    "X: y\n",
    "X: y\r",
    "Connection: content-length\r\n",
    "Connection: transfer-encoding, host\r\n",
    "Connection: close\r\n",
    "Expect: 100-continue\r\n",
    "http://x",
    "HTTP/1.0",
    "HTTP/1.1",
};

class Mutator {
 public:
  std::string mutated(std::string text) {
    const std::size_t edits = 1 + random_() % 3;
    for (std::size_t i = 0; i < edits; ++i) {
      const std::size_t at = place(text);
      const std::string_view piece = kPieces[random_() % std::size(kPieces)];
      switch (random_() % 4) {
        case 0:
          text.insert(at, piece);
          break;
        case 1:
          text.replace(at, std::min<std::size_t>(text.size() - at, piece.size()), piece);
          break;
        case 2:
          text.erase(at, 1 + random_() % 4);
          break;
        default:
          text.insert(at, 1, static_cast<char>(random_()));
      }
    }
    return text;
  }

 private:
  // Often the beginning of a line, where pieces mean most.
  std::size_t place(const std::string& text) {
    const std::size_t at = random_() % (text.size() + 1);
    if (random_() % 2 == 0) return at;
    const std::size_t line = text.find('\n', at);
    return line == std::string::npos ? at : line + 1;
  }
  std::mt19937 random_{20240229};
};

std::string framing_of(const MessageHead& head) {
  if (head.framing == BodyFraming::Chunked) return "chunked";
  if (head.framing == BodyFraming::Length) return "length " + std::to_string(head.content_length);
  return "none";
}

void check_all_agree(std::string_view written, const test::Understood& expected) {
  for (const test::Habits& habits : test::kHabits) {
    const test::Understood understood = test::NaiveReader(habits).read(written);
    CHECK(understood.framing == expected.framing);
    CHECK(understood.host == expected.host);
    CHECK(understood.head_bytes == expected.head_bytes);
  }
}

TEST_CASE("second reading: a forwarded request ends in the same place for everybody") {
  const std::string_view seeds[] = {
      "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nA: b\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n",
      "GET /a HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\n",
      "GET http://x/ HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
  };
  Mutator mutator;
  const MessageLimits limits;
  RequestHead head;
  RequestHead again;
  unsigned accepted = 0;
  for (unsigned i = 0; i < 100'000; ++i) {
    const std::string bytes = mutator.mutated(std::string(seeds[i % std::size(seeds)]));
    const Verdict verdict = RequestParser(limits).parse(bytes, head);
    if (!verdict.complete()) continue;
    ++accepted;
    CAPTURE(bytes);
    Buffer out;
    write_request_head(out, head, ConnectionLine::None);
    std::string host(head.authority);
    for (char& c : host) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    check_all_agree(out.view(), {framing_of(head), host, out.size()});

    const Verdict second = RequestParser(limits).parse(out.view(), again);
    // An HTTP/1.0 request may have been for no host.
    REQUIRE((second.complete() || head.authority.empty()));
    if (!second.complete()) continue;
    CHECK(second.consumed == out.size());
    CHECK(framing_of(again) == framing_of(head));
    CHECK(again.method_name == head.method_name);
    CHECK(again.authority == head.authority);
    CHECK((again.path == head.path || head.method == Method::Connect));
  }
  // Enough of them get through for this to say something.
  CHECK(accepted > 10'000);
}

TEST_CASE("second reading: a forwarded response ends in the same place for everybody") {
  const std::string_view seeds[] = {
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA: b\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n",
      "HTTP/1.1 200 OK\r\nA: b\r\n\r\n",
      "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
  };
  Mutator mutator;
  const MessageLimits limits;
  ResponseHead head;
  unsigned accepted = 0;
  for (unsigned i = 0; i < 100'000; ++i) {
    const std::string bytes = mutator.mutated(std::string(seeds[i % std::size(seeds)]));
    const Verdict verdict = ResponseParser(limits).parse(bytes, {}, head);
    if (!verdict.complete() || head.status == 304) continue;
    ++accepted;
    CAPTURE(bytes);
    head.headers.remove(HeaderId::Host);
    Buffer out;
    write_response_head(out, head, ConnectionLine::None);
    check_all_agree(out.view(), {framing_of(head), "", out.size()});
  }
  CHECK(accepted > 10'000);
}

// The readers above must be wrong enough for their agreement to mean something.
TEST_CASE("second reading: on smuggled bytes the readers disagree") {
  const std::string_view ambiguous[] = {
      "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: x\r\nX: y\nTransfer-Encoding: chunked\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: x\r\nX: y\rContent-Length: 5\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: x\r\nTransfer_Encoding: chunked\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n 6\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\0006\r\n\r\n"sv,
  };
  const MessageLimits limits;
  for (const std::string_view bytes : ambiguous) {
    CAPTURE(bytes);
    const test::Understood first = test::NaiveReader(test::kHabits[0]).read(bytes);
    bool all_agree = true;
    for (const test::Habits& habits : test::kHabits) {
      all_agree = all_agree && test::NaiveReader(habits).read(bytes) == first;
    }
    CHECK_FALSE(all_agree);
    RequestHead head;
    CHECK(RequestParser(limits).parse(bytes, head).rejected());
  }
}

}  // namespace
