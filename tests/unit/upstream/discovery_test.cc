// Files of endpoints and answers of name servers, as they may come.
#include <doctest/doctest.h>

#include <random>
#include <string>

#include "proxy/upstream/endpoints_file.h"
#include "proxy/upstream/srv_reply.h"

using namespace baton;
using namespace baton::proxy;

namespace {

std::string parsed(std::string_view text) {
  const auto endpoints = EndpointsFile::parse(text);
  if (!endpoints) return endpoints.error();
  std::string line;
  for (const FoundEndpoint& endpoint : *endpoints) {
    line += endpoint.address.text() + "*" + std::to_string(endpoint.weight) + " ";
  }
  return line;
}

std::string u16(unsigned value) {
  return {static_cast<char>(value >> 8), static_cast<char>(value & 0xff)};
}

const std::string kName("\4_web\4_tcp\4test\0", 16);
const std::string kHost("\4host\4test\0", 11);
const std::string kPointer("\xc0\x0c", 2);  // to the name in the question

std::string record(unsigned priority, unsigned weight, unsigned port, const std::string& host,
                   unsigned ttl = 300) {
  const std::string data = u16(priority) + u16(weight) + u16(port) + host;
  return kPointer + u16(33) + u16(1) + u16(0) + u16(ttl) + u16(static_cast<unsigned>(data.size())) +
         data;
}

std::string reply(const std::vector<std::string>& records) {
  std::string text = u16(1) + u16(0x8180) + u16(1) + u16(static_cast<unsigned>(records.size())) +
                     u16(0) + u16(0) + kName + u16(33) + u16(1);
  for (const std::string& each : records) text += each;
  return text;
}

auto parse(const std::string& message) {
  return parse_srv_reply({reinterpret_cast<const unsigned char*>(message.data()), message.size()});
}

}  // namespace

TEST_CASE("endpoints file: one a line, with comments, blanks and weights") {
  CHECK(parsed("").empty());
  CHECK(parsed("# nobody\n\n  \n").empty());
  CHECK(parsed("10.0.0.1:80") == "10.0.0.1:80*1 ");
  CHECK(parsed("10.0.0.1:80 5 # big\r\n\t[::1]:90\nunix:/run/x#y\n") ==
        "10.0.0.1:80*5 [::1]:90*1 unix:/run/x*1 ");
}

TEST_CASE("endpoints file: a mistake has its line") {
  CHECK(parsed("10.0.0.1:80\nten\n") == R"(line 2: "ten" is not an address: no port)");
  CHECK(parsed("a.test:80") == R"(line 1: "a.test:80" names a host, which only an endpoint may)");
  CHECK(parsed("10.0.0.1:0") == "line 1: nothing can be reached on port 0");
  for (const char* weight : {"0", "1001", "x", "-1", "1.5"}) {
    CHECK(parsed(std::string("\n10.0.0.1:80 ") + weight) ==
          "line 2: the weight is not a whole number from 1 to 1000");
  }
  CHECK(parsed("10.0.0.1:80 1 2") == "line 1: more than an address and a weight");
  std::string many;
  for (int i = 0; i <= 10'000; ++i) many += "10.0.0.1:80\n";
  CHECK(parsed(many) == "more than 10000 endpoints");
}

TEST_CASE("srv: all records, with what they say") {
  const auto records =
      parse(reply({record(2, 1, 1, kHost), record(1, 7, 80, kHost, 60), record(1, 0, 81, kHost)}));
  REQUIRE(records.has_value());
  REQUIRE(records->size() == 3);
  CHECK((*records)[0].priority == 2);
  CHECK((*records)[1].host == "host.test");
  CHECK((*records)[1].port == 80);
  CHECK((*records)[1].priority == 1);
  CHECK((*records)[1].weight == 7);
  CHECK((*records)[1].ttl_seconds == 60);
  CHECK((*records)[2].port == 81);
}

TEST_CASE("srv: a service that is decidedly not there, and records of other types") {
  CHECK(parse(reply({record(0, 0, 0, std::string("\0", 1))}))->empty());
  const std::string alias = kPointer + u16(5) + u16(1) + u16(0) + u16(9) + u16(2) + kPointer;
  CHECK(parse(reply({alias, record(1, 1, 80, kHost)}))->size() == 1);
  CHECK(parse(reply({}))->empty());
}

TEST_CASE("srv: whatever a name server sends is an answer or malformed") {
  const std::string good = reply({record(1, 7, 80, kHost), record(1, 0, 81, kPointer)});
  for (std::size_t length = 0; length < good.size(); ++length) {
    CHECK_FALSE(parse(good.substr(0, length)).has_value());
  }
  std::mt19937 random(11);
  for (int i = 0; i < 20'000; ++i) {
    std::string bad = good;
    for (int flips = 0; flips < 3; ++flips)
      bad[random() % bad.size()] = static_cast<char>(random());
    static_cast<void>(parse(bad));
  }
}
