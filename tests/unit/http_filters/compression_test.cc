#include "proxy/http/filter/compression/compression.h"

#include <zlib.h>

#include <random>

#include "proxy/http/filter/compression/accept_encoding.h"
#include "tests/unit/fixture/metrics.h"
#include "tests/unit/http_filters/stream_rig.h"

using namespace baton;
using namespace baton::fixture;
using namespace baton::proxy::http;
using proxy::EndOfStream;

namespace {

const std::string kAsks = "GET / HTTP/1.1\nHost: a\nAccept-Encoding: gzip, br\n";
const std::string kPlain = "GET / HTTP/1.1\nHost: a\n";
const std::string kHtml = "HTTP/1.1 200 OK\nContent-Type: text/html\nContent-Length: 1000\n";

// Decodes as a client does, piece by piece.
class Client {
 public:
  Client() { REQUIRE(::inflateInit2(&stream_, MAX_WBITS + 16) == Z_OK); }
  ~Client() { ::inflateEnd(&stream_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  std::string read(std::string bytes) {
    std::string text;
    std::array<char, 4096> room{};
    stream_.next_in = reinterpret_cast<Bytef*>(bytes.data());
    stream_.avail_in = static_cast<uInt>(bytes.size());
    do {
      stream_.next_out = reinterpret_cast<Bytef*>(room.data());
      stream_.avail_out = room.size();
      const int result = ::inflate(&stream_, Z_SYNC_FLUSH);
      REQUIRE((result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR));
      complete = complete || result == Z_STREAM_END;
      text.append(room.data(), room.size() - stream_.avail_out);
    } while (stream_.avail_out == 0);
    return text;
  }

  bool complete = false;  // with the right length and checksum

 private:
  z_stream stream_{};
};

struct CompressionFixture {
  explicit CompressionFixture(std::string_view toml = "")
      : parsed(parse_filter("compression", toml)), filter(rig.bind(*parsed.factory)) {}

  // The head that the client gets.
  std::unique_ptr<StreamRig> exchange(std::string_view request, std::string_view response) {
    auto stream = std::make_unique<StreamRig>(rig, filter, request);
    stream->respond(response);
    return stream;
  }
  bool compresses(std::string_view request, std::string_view response) {
    return exchange(request, response)->response_lines("content-encoding") == "gzip";
  }
  std::int64_t count(const std::string& name) {
    return metric(*rig.stats, "baton_http_compression_" + name + R"({listener="web"})");
  }

  FilterRig rig;
  ParsedFilter parsed;
  MakeHttpFilter filter;
};

// What the client gets of a piece that nothing follows for now.
std::string receive_alone(StreamRig& stream, std::string_view piece) {
  std::string bytes = stream.receive(piece);
  return bytes += stream.pause();
}

bool accepts(std::string_view value) {
  HeaderMap headers;
  REQUIRE(headers.add(HeaderId::AcceptEncoding, value));
  return accepts_gzip(headers);
}

std::string with_type(std::string_view type) {
  return "HTTP/1.1 200 OK\nContent-Length: 1000\nContent-Type: " + std::string(type) + "\n";
}

}  // namespace

TEST_CASE("accept-encoding: gzip is accepted when its weight is above 0 and not below identity's") {
  for (const char* value :
       {"gzip", "GZIP", "x-gzip", "br, gzip", "gzip;q=0.001", "gzip ; q=0.5 , br", "*", "*;q=0.1",
        "gzip;q=1.000", "identity;q=0.5, gzip;q=0.5", "identity;q=0, *", ",,gzip,", "gzip;Q=1",
        "deflate;q=2, gzip"}) {
    CAPTURE(value);
    CHECK(accepts(value));
  }
  for (const char* value :
       {"", "br", "identity", "gzip;q=0", "gzip;q=0.000", "*;q=0", "gzip;q=0, *", "gzipped",
        "gzip;q=", "gzip;q=1.5", "gzip;q=0.1234", "gzip;q=-1", "gzip;q=1.001", "gzip;q=.5",
        "gzip;level=9", "identity, gzip;q=0.5", "g zip"}) {
    CAPTURE(value);
    CHECK_FALSE(accepts(value));
  }
  CHECK_FALSE(accepts_gzip(HeaderMap()));
}

TEST_CASE("accept-encoding: several lines are one list") {
  HeaderMap headers;
  REQUIRE(headers.add("Accept-Encoding", "br"));
  REQUIRE(headers.add("Accept-Encoding", "gzip"));
  CHECK(accepts_gzip(headers));
}

TEST_CASE("compression: the head tells of the compressed body") {
  CompressionFixture fixture;
  const auto stream = fixture.exchange(
      kAsks, kHtml + "ETag: \"v1\"\nAccept-Ranges: bytes\nVary: Origin\nX-Other: kept\n");
  CHECK(stream->response_lines("content-encoding") == "gzip");
  CHECK(stream->response_lines("content-length") == "");
  CHECK(stream->response_lines("accept-ranges") == "");
  CHECK(stream->response_lines("etag") == "W/\"v1\"");
  CHECK(stream->response_lines("vary") == "Origin|accept-encoding");
  CHECK(stream->response_lines("x-other") == "");
  CHECK(stream->response_lines("X-Other") == "kept");
  CHECK(stream->response_head().framing == BodyFraming::Chunked);
}

TEST_CASE("compression: a client that does not ask gets it plain, but caches are told") {
  CompressionFixture fixture;
  for (const std::string& request : {kPlain, std::string("HEAD / HTTP/1.1\nHost: a\n")}) {
    StreamRig stream(fixture.rig, fixture.filter, request);
    stream.respond(kHtml + "ETag: \"v1\"\n");
    CHECK(stream.response_lines("content-encoding") == "");
    CHECK(stream.response_lines("vary") == "accept-encoding");
    CHECK(stream.response_lines("content-length") == "1000");
    CHECK(stream.response_lines("etag") == "\"v1\"");
  }
  StreamRig stream(fixture.rig, fixture.filter, kPlain);
  stream.respond(kHtml);
  CHECK(stream.receive("as it is", EndOfStream::Yes) == "as it is");
}

TEST_CASE("compression: a client that wants nothing transformed gets it plain") {
  CompressionFixture fixture;
  const auto stream = fixture.exchange(kAsks + "Cache-Control: max-age=0, no-transform\n", kHtml);
  CHECK(stream->response_lines("content-encoding") == "");
  CHECK(stream->response_lines("vary") == "accept-encoding");
}

TEST_CASE("compression: HEAD is told what GET would be") {
  CompressionFixture fixture;
  const std::string asks = "HEAD / HTTP/1.1\nHost: a\nAccept-Encoding: gzip\n";
  StreamRig stream(fixture.rig, fixture.filter, asks);
  stream.respond(kHtml + "ETag: \"v1\"\nAccept-Ranges: bytes\n", EndOfStream::Yes);
  CHECK(stream.response_lines("content-encoding") == "gzip");
  CHECK(stream.response_lines("vary") == "accept-encoding");
  CHECK(stream.response_lines("content-length") == "");
  CHECK(stream.response_lines("accept-ranges") == "");
  CHECK(stream.response_lines("etag") == "W/\"v1\"");
  CHECK(stream.response_head().framing == BodyFraming::None);
  const auto small =
      fixture.exchange(asks, "HTTP/1.1 200 OK\nContent-Type: text/html\nContent-Length: 10\n");
  CHECK(small->response_lines("content-encoding") == "");
  CHECK(small->response_lines("content-length") == "10");
  CHECK(fixture.count("responses_total") == 0);
}

TEST_CASE("compression: a 304 has the entity tag of what it is about, and its Vary") {
  CompressionFixture fixture;
  const std::string head = "HTTP/1.1 304 Not Modified\nETag: \"v1\"\nContent-Length: 5000\n";
  for (const char* type : {"", "Content-Type: text/html\n"}) {
    const auto compressed = fixture.exchange(kAsks, head + type);
    CHECK(compressed->response_lines("etag") == "W/\"v1\"");
    CHECK(compressed->response_lines("vary") == "accept-encoding");
    CHECK(compressed->response_lines("content-encoding") == "");
    CHECK(compressed->response_lines("content-length") == "");
    const auto plain = fixture.exchange(kPlain, head + type);
    CHECK(plain->response_lines("etag") == "\"v1\"");
    CHECK(plain->response_lines("vary") == "accept-encoding");
    CHECK(plain->response_lines("content-length") == "5000");
  }
  for (const char* line : {"Content-Type: image/png\n", "Content-Encoding: br\n"}) {
    const auto other = fixture.exchange(kAsks, head + line);
    CHECK(other->response_lines("etag") == "\"v1\"");
    CHECK(other->response_lines("vary") == "");
  }
}

TEST_CASE("compression: a part is of the plain form, of which caches are told") {
  CompressionFixture fixture;
  const auto part = fixture.exchange(kAsks,
                                     "HTTP/1.1 206 Partial Content\nContent-Type: text/html\n"
                                     "Content-Length: 10\nContent-Range: bytes 0-9/2000\n"
                                     "ETag: \"v1\"\n");
  CHECK(part->response_lines("vary") == "accept-encoding");
  CHECK(part->response_lines("content-encoding") == "");
  CHECK(part->response_lines("content-length") == "10");
  CHECK(part->response_lines("etag") == "\"v1\"");
}

TEST_CASE("compression: caches are told once") {
  CompressionFixture fixture;
  CHECK(fixture.exchange(kAsks, kHtml + "Vary: *\n")->response_lines("vary") == "*");
  CHECK(fixture.exchange(kAsks, kHtml + "Vary: A, Accept-Encoding\n")->response_lines("vary") ==
        "A, Accept-Encoding");
}

TEST_CASE("compression: a body arrives whole, and each part when its upstream pauses") {
  CompressionFixture fixture;
  StreamRig stream(fixture.rig, fixture.filter, kAsks);
  stream.respond("HTTP/1.1 200 OK\nContent-Type: text/html\nTransfer-Encoding: chunked\n");
  Client client;
  CHECK(client.read(receive_alone(stream, "first ")) == "first ");
  CHECK(stream.receive("") == "");
  CHECK(stream.pause() == "");
  const std::string head = stream.receive("se");
  CHECK(client.read(head + receive_alone(stream, "cond")) == "second");
  CHECK_FALSE(client.complete);
  CHECK(client.read(stream.receive("", EndOfStream::Yes)) == "");
  CHECK(client.complete);
  CHECK(stream.pause() == "");
}

TEST_CASE("compression: a body in small pieces gets as small as in a large one") {
  CompressionFixture fixture;
  std::minstd_rand random(7);
  std::string body(39'000, ' ');
  for (char& c : body) c = static_cast<char>('a' + random() % 4);
  const auto compressed = [&](std::size_t piece) {
    StreamRig stream(fixture.rig, fixture.filter, kAsks);
    stream.respond("HTTP/1.1 200 OK\nContent-Type: text/html\nTransfer-Encoding: chunked\n");
    std::string bytes;
    for (std::size_t at = 0; at < body.size(); at += piece) {
      bytes += stream.receive(std::string_view(body).substr(at, piece));
    }
    bytes += stream.receive("", EndOfStream::Yes);
    Client client;
    CHECK(client.read(bytes) == body);
    return bytes.size();
  };
  const std::size_t whole = compressed(body.size());
  CHECK(compressed(39) < whole + whole / 50);
}

TEST_CASE("compression: trailers follow the end of the compressed body") {
  CompressionFixture fixture;
  StreamRig stream(fixture.rig, fixture.filter, kAsks);
  stream.respond("HTTP/1.1 200 OK\nContent-Type: text/html\nTransfer-Encoding: chunked\n");
  Client client;
  const std::string head = stream.receive("body");
  CHECK(client.read(head + stream.receive_trailers()) == "body");
  CHECK(client.complete);
}

TEST_CASE("compression: bodies of any size and content, one after the other") {
  CompressionFixture fixture;
  std::minstd_rand random(7);
  for (const std::size_t size : {1, 300, 5000, 70'000, 1'000'000}) {
    for (const bool noise : {false, true}) {
      CAPTURE(size);
      CAPTURE(noise);
      std::string body(size, ' ');
      for (char& c : body) c = static_cast<char>(noise ? random() >> 8 : 'a' + random() % 4);
      StreamRig stream(fixture.rig, fixture.filter, kAsks);
      stream.respond(kHtml);
      Client client;
      std::string got;
      std::size_t sent_bytes = 0;
      for (std::size_t at = 0; at < size; at += 65536) {
        const std::string piece = stream.receive(std::string_view(body).substr(at, 65536));
        sent_bytes += piece.size();
        got += client.read(piece);
      }
      got += client.read(stream.receive("", EndOfStream::Yes));
      CHECK(got == body);
      CHECK(client.complete);
      if (!noise && size > 1000) CHECK(sent_bytes < size / 2);
      if (noise) CHECK(sent_bytes < size + size / 500 + 64);
    }
  }
  CHECK(fixture.count("responses_total") == 10);
  CHECK(fixture.count("input_bytes_total") == 2 * 1'075'301);
  CHECK(fixture.count("output_bytes_total") < fixture.count("input_bytes_total"));
}

TEST_CASE("compression: two responses at once do not mix") {
  CompressionFixture fixture;
  StreamRig one(fixture.rig, fixture.filter, kAsks);
  StreamRig two(fixture.rig, fixture.filter, kAsks);
  one.respond(kHtml);
  two.respond(kHtml);
  Client first;
  Client second;
  CHECK(first.read(receive_alone(one, "one")) == "one");
  CHECK(second.read(receive_alone(two, "two")) == "two");
  CHECK(first.read(one.receive("ONE", EndOfStream::Yes)) == "ONE");
  CHECK(second.read(two.receive("TWO", EndOfStream::Yes)) == "TWO");
  CHECK(first.complete);
  CHECK(second.complete);
}

TEST_CASE("compression: a response that was given up leaves a clean encoder to the next") {
  CompressionFixture fixture;
  {
    StreamRig given_up(fixture.rig, fixture.filter, kAsks);
    given_up.respond(kHtml);
    given_up.receive("half of it");
  }
  StreamRig stream(fixture.rig, fixture.filter, kAsks);
  stream.respond(kHtml);
  Client client;
  CHECK(client.read(stream.receive("all of it", EndOfStream::Yes)) == "all of it");
  CHECK(client.complete);
}

TEST_CASE("compression: what must not be changed is not") {
  CompressionFixture fixture;
  CHECK(fixture.compresses(kAsks, kHtml));
  for (const char* line :
       {"Content-Encoding: br", "Content-Encoding: identity", "Cache-Control: no-transform",
        "Cache-Control: public, No-Transform", "Cache-Control: public\nCache-Control: no-transform",
        "Content-Range: bytes 0-999/2000", "Content-MD5: x",
        "Content-Digest: sha-256=:x:", "Repr-Digest: sha-256=:x:", "Digest: sha-256=x"}) {
    CAPTURE(line);
    const auto stream = fixture.exchange(kAsks, kHtml + line + "\n");
    CHECK(stream->response_head().framing == BodyFraming::Length);
    CHECK(stream->response_lines("vary") == "");
  }
  CHECK_FALSE(fixture.compresses(
      kAsks, "HTTP/1.1 206 Partial Content\nContent-Type: text/html\nContent-Length: 1000\n"));
  CHECK_FALSE(fixture.compresses(kAsks, "HTTP/1.1 304 Not Modified\nContent-Type: text/html\n"));
  CHECK_FALSE(fixture.compresses(kAsks, "HTTP/1.1 204 No Content\nContent-Type: text/html\n"));
  CHECK_FALSE(fixture.compresses("CONNECT a:1 HTTP/1.1\nHost: a:1\nAccept-Encoding: gzip\n",
                                 "HTTP/1.1 200 OK\nContent-Type: text/html\n"));
}

TEST_CASE("compression: only types that shrink, and bodies that are long enough") {
  CompressionFixture fixture("min_length = \"100B\"");
  for (const char* type : {"text/plain", "TEXT/HTML; charset=utf-8", "application/json",
                           "application/json ; x=y", "image/svg+xml"}) {
    CAPTURE(type);
    CHECK(fixture.compresses(kAsks, with_type(type)));
  }
  for (const char* type : {"image/png", "text", "text/", "application/octet-stream", ""}) {
    CAPTURE(type);
    CHECK_FALSE(fixture.compresses(kAsks, with_type(type)));
  }
  CHECK_FALSE(fixture.compresses(kAsks, "HTTP/1.1 200 OK\nContent-Length: 1000\n"));
  const std::string head = "HTTP/1.1 200 OK\nContent-Type: text/html\n";
  CHECK_FALSE(fixture.compresses(kAsks, head + "Content-Length: 99\n"));
  CHECK(fixture.compresses(kAsks, head + "Content-Length: 100\n"));
  CHECK(fixture.compresses(kAsks, head));  // until the connection closes
}

TEST_CASE("compression: a weak entity tag stays as it is") {
  CompressionFixture fixture;
  CHECK(fixture.exchange(kAsks, kHtml + "ETag: W/\"v1\"\n")->response_lines("etag") == "W/\"v1\"");
}

TEST_CASE("compression: its configuration and its mistakes") {
  CompressionFixture fixture("content_types = [\"image/*\", \"text/html\"]\nlevel = 9");
  CHECK(fixture.parsed.mistakes == "");
  CHECK(fixture.compresses(kAsks, with_type("image/bmp")));
  CHECK_FALSE(fixture.compresses(kAsks, with_type("text/css")));
  const auto mistakes = [](std::string_view toml) {
    return parse_filter("compression", toml).mistakes;
  };
  CHECK(mistakes("content_types = []") ==
        "f:1:17: content_types: is empty; allowed: \"text/html\", \"text/*\"\n");
  CHECK(mistakes("content_types = [\"text/html\", \"*/*\"]") ==
        "f:1:31: content_types: \"*/*\" is not a media type; allowed: \"text/html\", \"text/*\"\n");
}
