#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "proxy/http/codec/chunked_decoder.h"
#include "proxy/http/codec/chunked_encoder.h"

namespace {

using namespace baton::proxy;
using namespace baton::proxy::http;
using namespace std::string_view_literals;

struct Decoded {
  ChunkedDecoder::State state = ChunkedDecoder::State::NeedMore;
  std::string body;
  std::size_t consumed = 0;
  const Rejection* rejection = nullptr;
};

// Feeds pieces of `piece` bytes, each from memory of just that size.
Decoded decode_in_pieces(ChunkedDecoder& decoder, std::string_view input, std::size_t piece) {
  Decoded result;
  while (result.state == ChunkedDecoder::State::NeedMore && !input.empty()) {
    const std::string_view next = input.substr(0, piece);
    const std::vector<char> bytes(next.begin(), next.end());
    std::string_view rest(bytes.data(), bytes.size());
    for (;;) {
      const ChunkedDecoder::Step step = decoder.decode(rest);
      result.body += step.data;
      result.consumed += step.consumed;
      result.state = step.state;
      result.rejection = step.rejection;
      rest.remove_prefix(step.consumed);
      if (step.state != ChunkedDecoder::State::Data) break;
    }
    input.remove_prefix(next.size());
  }
  return result;
}

Decoded decode(std::string_view input, const MessageLimits& limits = {}) {
  ChunkedDecoder decoder(limits);
  Decoded at_once = decode_in_pieces(decoder, input, input.size());
  for (const std::size_t piece : {1, 2, 3, 5, 7}) {
    ChunkedDecoder again(limits);
    const Decoded slow = decode_in_pieces(again, input, piece);
    CHECK(slow.state == at_once.state);
    CHECK(slow.body == at_once.body);
    CHECK(slow.rejection == at_once.rejection);
    if (slow.state == ChunkedDecoder::State::Done) CHECK(slow.consumed == at_once.consumed);
  }
  return at_once;
}

TEST_CASE("chunks: accepted bodies") {
  struct Case {
    std::string_view bytes;
    std::string_view body;
  };
  const Case cases[] = {
      {"0\r\n\r\n", ""},
      {"000000000000000\r\n\r\n", ""},
      {"5\r\nhello\r\n0\r\n\r\n", "hello"},
      {"0000000000000005\r\nhello\r\n0\r\n\r\n", "hello"},
      {"a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n", "01234567890123456789a"},
      {"2\r\n\r\n\r\n0\r\n\r\n", "\r\n"},
      {"1;a\r\nx\r\n0;b\r\n\r\n", "x"},
      {"1;a=b\r\nx\r\n0\r\n\r\n", "x"},
      {"1;a=b;c;d=e\r\nx\r\n0\r\n\r\n", "x"},
      {"1 ; a = b\t;c\r\nx\r\n0\r\n\r\n", "x"},
      {"1;a=\"\"\r\nx\r\n0\r\n\r\n", "x"},
      {"1;a=\"b; \\\" \\\\ \t=\"\r\nx\r\n0\r\n\r\n", "x"},
      {"1;a=\"b\" ;c\r\nx\r\n0\r\n\r\n", "x"},
      {"1;a=\"\xe4\"\r\nx\r\n0\r\n\r\n", "x"},
  };
  for (const Case& accepted : cases) {
    CAPTURE(accepted.bytes);
    const std::string followed = std::string(accepted.bytes) + "GET / HTTP/1.1\r\n";
    const Decoded result = decode(followed);
    CHECK(result.state == ChunkedDecoder::State::Done);
    CHECK(result.body == accepted.body);
    CHECK(result.consumed == accepted.bytes.size());
  }
}

TEST_CASE("chunks: refused bodies") {
  struct Case {
    std::string_view bytes;
    const Rejection& expected;
  };
  const Case cases[] = {
      // Sizes.
      {"\r\n", kBadChunkSize},
      {"\n", kBadChunkSize},
      {" 5\r\nhello\r\n", kBadChunkSize},
      {"+5\r\nhello\r\n", kBadChunkSize},
      {"-1\r\n", kBadChunkSize},
      {"0x5\r\nhello\r\n", kBadChunkSize},
      {"5h\r\nhello\r\n", kBadChunkSize},
      {"5_0\r\n", kBadChunkSize},
      {"5,5\r\n", kBadChunkSize},
      {"5.0\r\n", kBadChunkSize},
      {"G\r\n", kBadChunkSize},
      {"\xff\r\n", kBadChunkSize},
      {"5\0\r\nhello\r\n"sv, kBadChunkSize},
      {"5\x0b\r\nhello\r\n", kBadChunkSize},
      {";a\r\n", kBadChunkSize},
      {"00000000000000005\r\nhello\r\n", kBadChunkSize},
      {"8000000000000000\r\n", kBadChunkSize},
      {"ffffffffffffffff\r\n", kBadChunkSize},
      {"10000000000000000\r\n", kBadChunkSize},
      {"100000000000000000000000005\r\nhello\r\n", kBadChunkSize},
      // Ends of the size line.
      {"5\nhello\r\n0\r\n\r\n", kBadChunkSize},
      {"5\rhello\r\n0\r\n\r\n", kBareCr},
      {"5\r\rhello\r\n", kBareCr},
      {"5 \r\nhello\r\n0\r\n\r\n", kBadChunkExtension},
      {"5\t\r\nhello\r\n0\r\n\r\n", kBadChunkExtension},
      // Extensions, where others take a bare LF or CR for the end of the line.
      {"5;\nxx\r\n45\r\n0\r\n\r\n", kBadChunkExtension},
      {"5;\rxx\r\n45\r\n0\r\n\r\n", kBadChunkExtension},
      {"5;a\nhello\r\n0\r\n\r\n", kBadChunkExtension},
      {"5;a\rhello\r\n0\r\n\r\n", kBareCr},
      {"5;a=b\nhello\r\n0\r\n\r\n", kBadChunkExtension},
      {"5;a=\"\nb\"\r\nhello\r\n0\r\n\r\n", kBadChunkExtension},
      {"5;a=\"\r\nb\"\r\nhello\r\n0\r\n\r\n", kBadChunkExtension},
      {"5;a=\"\\\n\"\r\nhello\r\n", kBadChunkExtension},
      {"5;a=\"\\\r\n\"\r\nhello\r\n", kBadChunkExtension},
      {"5;a=\"b\r\nhello\r\n", kBadChunkExtension},
      {"5;a=\"b\"c\r\nhello\r\n", kBadChunkExtension},
      {"5;\r\nhello\r\n0\r\n\r\n", kBadChunkExtension},
      {"5; \r\nhello\r\n0\r\n\r\n", kBadChunkExtension},
      {"5;;\r\nhello\r\n0\r\n\r\n", kBadChunkExtension},
      {"5;=b\r\nhello\r\n", kBadChunkExtension},
      {"5;a=\r\nhello\r\n", kBadChunkExtension},
      {"5;a=b=c\r\nhello\r\n", kBadChunkExtension},
      {"5;a b\r\nhello\r\n", kBadChunkExtension},
      {"5 a\r\nhello\r\n", kBadChunkExtension},
      {"5;a \r\nhello\r\n", kBadChunkExtension},
      {"5;a\0\r\nhello\r\n"sv, kBadChunkExtension},
      {"5;\0a\r\nhello\r\n"sv, kBadChunkExtension},
      {"5;a\x7f\r\nhello\r\n", kBadChunkExtension},
      {"5;a=\"\x01\"\r\nhello\r\n", kBadChunkExtension},
      {"0;\n\r\n", kBadChunkExtension},
      // Ends of the data.
      {"5\r\nhello0\r\n\r\n", kBadChunkEnd},
      {"5\r\nhello\n0\r\n\r\n", kBadChunkEnd},
      {"5\r\nhello\r0\r\n\r\n", kBadChunkEnd},
      {"5\r\nhelloX\r\n0\r\n\r\n", kBadChunkEnd},
      {"5\r\nhelloXX0\r\n\r\n", kBadChunkEnd},
      {"5\r\nhello\r\n\r\n0\r\n\r\n", kBadChunkSize},
      {"5\r\nhell\r\n0\r\n\r\n", kBadChunkEnd},
      // The end of the body, and trailers.
      {"0\n\n", kBadChunkSize},
      {"0\r\n\n", kBareLf},
      {"0\r\n\rX", kBareCr},
      {"0\r\n X: y\r\n\r\n", kFoldedLine},
      {"0\r\nX: y\n\r\n", kBareLf},
      {"0\r\nX: y\r\n z\r\n\r\n", kFoldedLine},
      {"0\r\nX : y\r\n\r\n", kSpaceBeforeColon},
      {"0\r\nX\r\n\r\n", kBadHeaderName},
      {"0\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", kSpaceBeforeColon},
      {"0\r\nX: \0\r\n\r\n"sv, kControlCharacter},
      {"0\r\nContent-Length: 5\r\n\r\n", kForbiddenTrailer},
      {"0\r\nTransfer-Encoding: chunked\r\n\r\n", kForbiddenTrailer},
      {"0\r\nHost: x\r\n\r\n", kForbiddenTrailer},
      {"0\r\nConnection: close\r\n\r\n", kForbiddenTrailer},
      {"0\r\nContent_Length: 5\r\n\r\n", kBadHeaderName},
  };
  for (const Case& refused : cases) {
    CAPTURE(refused.bytes);
    const Decoded result = decode(refused.bytes);
    REQUIRE(result.rejection != nullptr);
    CHECK(result.rejection->flag == refused.expected.flag);
  }
}

TEST_CASE("chunks: bytes that may not stand in an extension's name") {
  for (int c = 0; c < 256; ++c) {
    CAPTURE(c);
    const std::string body = std::string("1;a") + static_cast<char>(c) + "b=c\r\nx\r\n0\r\n\r\n";
    const bool is_accepted = decode(body).state == ChunkedDecoder::State::Done;
    const bool is_token =
        std::string_view("!#$%&'*+-.^_`|~").find(static_cast<char>(c)) != std::string_view::npos ||
        (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    CHECK(is_accepted == (is_token || c == ';'));
  }
}

TEST_CASE("chunks: the body's limit counts all chunks") {
  const MessageLimits limits{.body_bytes = 8};
  CHECK(decode("4\r\nabcd\r\n4\r\nefgh\r\n0\r\n\r\n", limits).body == "abcdefgh");
  CHECK(decode("4\r\nabcd\r\n5\r\nefghi\r\n", limits).rejection == &kBodyTooLarge);
  CHECK(decode("7fffffffffffffff\r\n", limits).rejection == &kBodyTooLarge);
}

TEST_CASE("chunks: extensions have limits, for one chunk and for all") {
  const auto chunk = [](std::size_t extension) {
    return "1;" + std::string(extension - 1, 'a') + "\r\nx\r\n";
  };
  CHECK(decode(chunk(256) + "0\r\n\r\n").state == ChunkedDecoder::State::Done);
  CHECK(decode(chunk(257)).rejection == &kBadChunkExtension);
  std::string many;
  for (int i = 0; i < 64; ++i) many += chunk(256);
  CHECK(decode(many + "0\r\n\r\n").state == ChunkedDecoder::State::Done);
  CHECK(decode(many + chunk(256)).rejection == &kBadChunkExtension);
  // A large body may have more of them: clients sign each chunk.
  std::string signed_chunks;
  for (int i = 0; i < 200; ++i) {
    signed_chunks += "3e8;" + std::string(84, 's') + "\r\n" + std::string(1000, 'x') + "\r\n";
  }
  CHECK(decode(signed_chunks + "0\r\n\r\n").state == ChunkedDecoder::State::Done);
}

TEST_CASE("chunks: trailers") {
  const std::string_view bytes =
      "1\r\nx\r\n0\r\nX-Sum: 5\r\nCookie: a=b\r\nX_Real_IP: 1\r\nx-sum:  6 \r\nETag: "
      "\"e\"\r\n\r\nrest";
  const MessageLimits limits;
  for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
    ChunkedDecoder decoder(limits);
    const Decoded result = decode_in_pieces(decoder, bytes, piece);
    REQUIRE(result.state == ChunkedDecoder::State::Done);
    if (piece == bytes.size()) CHECK(result.consumed == bytes.size() - 4);
    REQUIRE(decoder.trailers() != nullptr);
    CHECK(decoder.trailers()->size() == 3);
    CHECK(decoder.trailers()->get("x-sum") == "5");
    CHECK(decoder.trailers()->get(HeaderId::ETag) == "\"e\"");
    CHECK_FALSE(decoder.trailers()->has(HeaderId::Cookie));
    CHECK(decoder.trailers()->find("X_Real_IP") == nullptr);
    decoder.reset();
    CHECK(decoder.trailers() == nullptr);
    CHECK(decoder.body_bytes() == 0);
  }
}

TEST_CASE("chunks: trailers have the limits of headers") {
  const MessageLimits limits{.header_bytes = 20, .header_count = 2};
  CHECK(decode("0\r\nA: b\r\nC: d\r\n\r\n", limits).state == ChunkedDecoder::State::Done);
  CHECK(decode("0\r\nA: b\r\nC: d\r\nE: f\r\n\r\n", limits).rejection != nullptr);
  CHECK(decode("0\r\nA:\r\nC:\r\nE:\r\n\r\n", limits).rejection == &kTooManyHeaders);
  CHECK(decode("0\r\nA: 0123456789abcdef", limits).state == ChunkedDecoder::State::NeedMore);
  CHECK(decode("0\r\nA: 0123456789abcdefgh", limits).rejection == &kHeadersTooLarge);
}

TEST_CASE("chunks: what is encoded decodes to the same") {
  Buffer out;
  write_chunk(out, "hello");
  write_chunk(out, "");
  write_chunk(out, std::string(5000, 'x'));
  HeaderMap trailers;
  trailers.add("X-Sum", "5");
  write_last_chunk(out, &trailers);
  CHECK(decode(out.view()).body == "hello" + std::string(5000, 'x'));
  CHECK(out.view().starts_with("5\r\nhello\r\n1388\r\nx"));
  CHECK(out.view().ends_with("\r\n0\r\nX-Sum: 5\r\n\r\n"));
  Buffer plain;
  write_last_chunk(plain, nullptr);
  CHECK(plain.view() == "0\r\n\r\n");
}

TEST_CASE("chunks: start lines") {
  CHECK(ChunkStart(1).view() == "1\r\n");
  CHECK(ChunkStart(0x1234abcd).view() == "1234abcd\r\n");
  CHECK(ChunkStart(~std::uint64_t{0}).view() == "ffffffffffffffff\r\n");
}

}  // namespace
