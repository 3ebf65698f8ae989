#include <doctest/doctest.h>

#include <random>
#include <string>

#include "proxy/filter/proxy_protocol/proxy_header_parser.h"
#include "proxy/filter/proxy_protocol/proxy_header_writer.h"

using namespace baton;
using namespace baton::proxy;
using namespace std::string_literals;
using Status = ProxyHeader::Status;

namespace {

const std::string kSignature = "\r\n\r\n\0\r\nQUIT\n"s;

// Version 2: command, family and transport, then what `length` counts.
std::string binary(unsigned command, unsigned family, const std::string& rest, int length = -1) {
  const std::size_t size = length < 0 ? rest.size() : static_cast<std::size_t>(length);
  return kSignature + static_cast<char>(command) + static_cast<char>(family) +
         static_cast<char>(size >> 8) + static_cast<char>(size & 0xff) + rest;
}

const std::string kV4 = "\xc0\x00\x02\x01\xc6\x33\x64\x02\x12\x34\x01\xbb"s;
const std::string kV6 = "\x20\x01\x0d\xb8"s + std::string(11, '\0') + "\x01" + "\x20\x01\x0d\xb8"s +
                        std::string(11, '\0') + "\x02" + "\x12\x34\x01\xbb";

std::string unix_pair(std::string source) {
  source.resize(108, '\0');
  return source + std::string(108, '\0');
}

// "client" / "unnamed" / what else there is to say.
std::string reading(std::string_view bytes) {
  const ProxyHeader header = parse_proxy_header(bytes);
  switch (header.status) {
    case Status::NeedMore:
      return "need more";
    case Status::Absent:
      return "absent";
    case Status::Wrong:
      return "wrong";
    case Status::Complete:
      break;
  }
  return header.names_client ? header.client.text() : "unnamed";
}

std::string address(const char* text) { return os::SocketAddress::parse(text).value().text(); }

std::string written(const char* client, const char* local) {
  Buffer out;
  write_proxy_v2(out, os::SocketAddress::parse(client).value(),
                 os::SocketAddress::parse(local).value());
  return std::string(out.view());
}

}  // namespace

TEST_CASE("proxy header: what is one, in text") {
  const struct {
    const char* line;
    std::string means;
  } rows[] = {
      {"PROXY TCP4 192.0.2.1 198.51.100.2 4660 443", "192.0.2.1:4660"},
      {"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535", "255.255.255.255:65535"},
      {"PROXY TCP4 0.0.0.0 0.0.0.0 0 0", "0.0.0.0:0"},
      {"PROXY TCP6 2001:db8::1 2001:db8::2 4660 443", "[2001:db8::1]:4660"},
      {"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
       "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535",
       "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
      {"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2", address("[::ffff:192.0.2.1]:1")},
      {"PROXY UNKNOWN", "unnamed"},
      {"PROXY UNKNOWN whatever  1 2 3", "unnamed"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.line);
    const std::string header = std::string(row.line) + "\r\n";
    CHECK(reading(header) == row.means);
    CHECK(parse_proxy_header(header + "GET / HTTP/1.1\r\n").size == header.size());
    for (std::size_t size = 0; size < header.size(); ++size) {
      CHECK(reading(header.substr(0, size)) == "need more");
    }
  }
}

TEST_CASE("proxy header: what begins like one in text, and is none") {
  for (const char* line : {"PROXY ",
                           "PROXY  TCP4 1.2.3.4 1.2.3.4 1 2",
                           "PROXY TCP4  1.2.3.4 1.2.3.4 1 2",
                           "PROXY TCP4 1.2.3.4  1.2.3.4 1 2",
                           "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 ",
                           "PROXY TCP4 1.2.3.4 1.2.3.4 1  2",
                           "PROXY TCP4 1.2.3.4 1.2.3.4 1",
                           "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3",
                           "PROXY TCP4 1.2.3.4 1.2.3.4 65536 2",
                           "PROXY TCP4 1.2.3.4 1.2.3.4 01 2",
                           "PROXY TCP4 1.2.3.4 1.2.3.4 +1 2",
                           "PROXY TCP4 1.2.3.4 1.2.3.4 -1 2",
                           "PROXY TCP4 1.2.3.4 1.2.3.4 1 2x",
                           "PROXY TCP4 1.2.3.4 1.2.3.4 0x1 2",
                           "PROXY TCP4 1.2.3.4 1.2.3.4 1\t2",
                           "PROXY TCP4 1.2.3.400 1.2.3.4 1 2",
                           "PROXY TCP4 1.2.3 1.2.3.4 1 2",
                           "PROXY TCP4 01.2.3.4 1.2.3.4 1 2",
                           "PROXY TCP4 1.2.3.4 localhost 1 2",
                           "PROXY TCP4 ::1 ::1 1 2",
                           "PROXY TCP6 1.2.3.4 1.2.3.4 1 2",
                           "PROXY TCP6 ::1 ::g 1 2",
                           "PROXY TCP6 [::1] ::1 1 2",
                           "PROXY TCP6 fe80::1%lo ::1 1 2",
                           "PROXY tcp4 1.2.3.4 1.2.3.4 1 2",
                           "PROXY TCP 1.2.3.4 1.2.3.4 1 2",
                           "PROXY UDP4 1.2.3.4 1.2.3.4 1 2",
                           "PROXY UNKNOWNX",
                           "PROXY unknown",
                           "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n"}) {
    CAPTURE(line);
    CHECK(reading(std::string(line) + "\r\n") == "wrong");
  }
  CHECK(reading("PROXY TCP4 1.2.3.4\0 1.2.3.4 1 2\r\n"s) == "wrong");
  CHECK(reading("PROXY UNKNOWN\rx") == "wrong");
  CHECK(reading("PROXY UNKNOWN\n") == "wrong");
}

TEST_CASE("proxy header: a line has at most 107 bytes") {
  const std::string longest = "PROXY UNKNOWN " + std::string(91, 'x') + "\r\n";
  REQUIRE(longest.size() == 107);
  CHECK(reading(longest) == "unnamed");
  const std::string longer = "PROXY UNKNOWN " + std::string(92, 'x') + "\r\n";
  CHECK(reading(longer) == "wrong");
  CHECK(reading(std::string_view(longer).substr(0, 106)) == "need more");
  CHECK(reading(std::string_view(longer).substr(0, 107)) == "wrong");
}

TEST_CASE("proxy header: what is one, in binary") {
  const struct {
    std::string header;
    std::string means;
  } rows[] = {
      {binary(0x21, 0x11, kV4), "192.0.2.1:4660"},
      {binary(0x21, 0x12, kV4), "192.0.2.1:4660"},  // a datagram's
      {binary(0x21, 0x21, kV6), "[2001:db8::1]:4660"},
      {binary(0x21, 0x31, unix_pair("/run/x.sock")), "unix:/run/x.sock"},
      {binary(0x21, 0x31, unix_pair(std::string(108, 'p'))), "unix:" + std::string(108, 'p')},
      {binary(0x21, 0x31, unix_pair("\0abstract"s)), "unix:@abstract"},
      {binary(0x21, 0x31, unix_pair("")), "unix:"},
      {binary(0x20, 0x00, ""), "unnamed"},
      {binary(0x20, 0x11, kV4), "unnamed"},  // LOCAL: the addresses are to be ignored
      {binary(0x20, 0xff, "rubbish"), "unnamed"},
      {binary(0x21, 0x00, ""), "unnamed"},
      {binary(0x21, 0x00, "rubbish"), "unnamed"},
      {binary(0x21, 0x11, kV4 + "\x04\x00\x01x"s), "192.0.2.1:4660"},  // with a TLV
  };
  for (const auto& row : rows) {
    CAPTURE(row.means);
    CHECK(reading(row.header) == row.means);
    CHECK(parse_proxy_header(row.header + "more").size == row.header.size());
    CHECK(reading(row.header.substr(0, 15)) == "need more");
  }
}

TEST_CASE("proxy header: a client is known before the type-length-values have come") {
  const std::string header = binary(0x21, 0x11, kV4, 65535);
  CHECK(reading(header) == "192.0.2.1:4660");
  CHECK(parse_proxy_header(header).size == 65551);
  CHECK(reading(header.substr(0, header.size() - 1)) == "need more");
}

TEST_CASE("proxy header: what begins like one in binary, and is none") {
  CHECK(reading(binary(0x11, 0x11, kV4)) == "wrong");  // version 1
  CHECK(reading(binary(0x31, 0x11, kV4)) == "wrong");
  CHECK(reading(binary(0x22, 0x11, kV4)) == "wrong");  // no such command
  CHECK(reading(binary(0x2f, 0x11, kV4)) == "wrong");
  for (const unsigned family : {0x01U, 0x02U, 0x10U, 0x20U, 0x30U, 0x13U, 0x41U, 0xffU}) {
    CAPTURE(family);
    CHECK(reading(binary(0x21, family, unix_pair(""))) == "wrong");
  }
  CHECK(reading(binary(0x21, 0x11, kV4.substr(1))) == "wrong");
  CHECK(reading(binary(0x21, 0x21, kV6.substr(1))) == "wrong");
  CHECK(reading(binary(0x21, 0x31, unix_pair("").substr(1))) == "wrong");
}

TEST_CASE("proxy header: a signature is recognized from its first byte, or not at all") {
  const std::string header = binary(0x21, 0x11, kV4);
  for (std::size_t size = 0; size < header.size(); ++size) {
    CHECK(reading(std::string_view(header).substr(0, size)) == "need more");
  }
  for (std::size_t i = 0; i < kSignature.size(); ++i) {
    CAPTURE(i);
    std::string other = header;
    other[i] ^= 1;
    CHECK(reading(other) == "absent");
    CHECK(reading(std::string_view(other).substr(0, i + 1)) == "absent");
  }
  for (const char* bytes : {"GET / HTTP/1.1\r\n", "proxy TCP4 ", "PROXY\tTCP4", "PROXYING", "x"}) {
    CAPTURE(bytes);
    CHECK(reading(bytes) == "absent");
  }
}

TEST_CASE("proxy header: rubbish is read without harm") {
  std::minstd_rand random(11);
  const std::string seeds[] = {"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n", binary(0x21, 0x11, kV4),
                               binary(0x21, 0x31, unix_pair("/x"))};
  for (int i = 0; i < 100'000; ++i) {
    std::string bytes = seeds[random() % 3];
    bytes.resize(random() % (bytes.size() + 1));
    for (int change = 0; change < 2 && !bytes.empty(); ++change) {
      bytes[random() % bytes.size()] = static_cast<char>(random() >> 4);
    }
    const ProxyHeader header = parse_proxy_header(bytes);
    if (header.status != Status::Complete) continue;
    REQUIRE(header.size >= 15);
    REQUIRE(header.size <= 65551);
  }
}

TEST_CASE("proxy header: what is written is read back as it was meant") {
  CHECK(written("192.0.2.1:4660", "198.51.100.2:443") == binary(0x21, 0x11, kV4));
  CHECK(written("[2001:db8::1]:4660", "[2001:db8::2]:443") == binary(0x21, 0x21, kV6));
  CHECK(reading(written("192.0.2.1:1", "[::1]:2")) == address("[::ffff:192.0.2.1]:1"));
  CHECK(reading(written("[2001:db8::1]:1", "127.0.0.1:2")) == "[2001:db8::1]:1");
  CHECK(written("unix:@x", "127.0.0.1:2") == binary(0x20, 0x00, ""));
  // Behind a proxy in front, a client is known that has come by a unix socket.
  CHECK(written("192.0.2.1:4660", "unix:/x") ==
        binary(0x21, 0x11, "\xc0\x00\x02\x01\0\0\0\0\x12\x34\0\0"s));
  CHECK(reading(written("[2001:db8::1]:1", "unix:/x")) == "[2001:db8::1]:1");
}
