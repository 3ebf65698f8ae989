#include "proxy/filter/ip_filter/ip_range.h"

#include <doctest/doctest.h>

#include <string>

#include "proxy/filter/ip_filter/ip_rules.h"

using baton::os::SocketAddress;
using baton::proxy::IpRange;
using baton::proxy::IpRules;

namespace {

IpRange range(std::string_view text) { return IpRange::parse(text).value(); }
SocketAddress client(std::string_view text) { return SocketAddress::parse(text).value(); }

}  // namespace

TEST_CASE("ip range: what it is written as, and what it contains") {
  struct Row {
    const char* range;
    const char* address;
    bool contained;
  };
  for (const Row& row : {
           Row{"10.0.0.0/8", "10.255.0.1:5", true},
           Row{"10.0.0.0/8", "11.0.0.1:5", false},
           Row{"192.0.2.128/25", "192.0.2.128:5", true},
           Row{"192.0.2.128/25", "192.0.2.127:5", false},
           Row{"192.0.2.1", "192.0.2.1:5", true},
           Row{"192.0.2.1", "192.0.2.2:5", false},
           Row{"0.0.0.0/0", "203.0.113.9:5", true},
           Row{"0.0.0.0/0", "[2001:db8::1]:5", false},
           Row{"10.0.0.0/8", "[::ffff:10.1.2.3]:5", true},
           Row{"10.0.0.0/8", "[::ffff:11.1.2.3]:5", false},
           Row{"::ffff:10.0.0.0/104", "10.1.2.3:5", true},
           Row{"::ffff:10.0.0.0/104", "[::ffff:10.1.2.3]:5", true},
           Row{"::ffff:10.0.0.0/104", "11.1.2.3:5", false},
           Row{"::ffff:127.0.0.1", "127.0.0.1:5", true},
           Row{"2001:db8::/33", "[2001:db8:7fff::1]:5", true},
           Row{"2001:db8::/33", "[2001:db8:8000::1]:5", false},
           Row{"::1", "[::1]:5", true},
           Row{"::1", "[::2]:5", false},
           Row{"::/0", "[2001:db8::1]:5", true},
           Row{"::/0", "192.0.2.1:5", false},
           Row{"0.0.0.0/0", "unix:/run/x", false},
           Row{"::/0", "unix:@x", false},
       }) {
    CAPTURE(std::string(row.range));
    CAPTURE(std::string(row.address));
    CHECK(range(row.range).contains(client(row.address)) == row.contained);
  }
  CHECK(range("192.0.2.1").text() == "192.0.2.1/32");
  CHECK(range("2001:DB8:0::/32").text() == "2001:db8::/32");
  CHECK(range("::ffff:10.0.0.0/104").text() == "10.0.0.0/8");
}

TEST_CASE("ip range: what is none says why") {
  struct Row {
    std::string text;
    const char* error;
  };
  for (const Row& row : {
           Row{"", "is not an IP address or range"},
           Row{"localhost", "is not an IP address or range"},
           Row{"10.0.0/8", "is not an IP address or range"},
           Row{std::string("10.0.0.0\0x", 10), "contains NUL"},
           Row{"[::1]", "is not an IP address or range"},
           Row{"10.0.0.0/33", "needs a prefix of 0 to 32 bits"},
           Row{"10.0.0.0/", "needs a prefix of 0 to 32 bits"},
           Row{"10.0.0.0/-1", "needs a prefix of 0 to 32 bits"},
           Row{"10.0.0.0/8/8", "needs a prefix of 0 to 32 bits"},
           Row{"::/129", "needs a prefix of 0 to 128 bits"},
           Row{"10.1.2.3/8", "has bits beyond its prefix; did you mean \"10.0.0.0/8\"?"},
           Row{"2001:db8::1/32", "has bits beyond its prefix; did you mean \"2001:db8::/32\"?"},
       }) {
    CAPTURE(row.text);
    const auto result = IpRange::parse(row.text);
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error() == row.error);
  }
}

TEST_CASE("ip rules: deny wins, and with an allow list everyone else is refused") {
  const IpRules only_deny{.allow = {}, .deny = {range("10.0.0.0/8")}};
  CHECK_FALSE(only_deny.admits(client("10.1.1.1:5")));
  CHECK(only_deny.admits(client("192.0.2.1:5")));
  CHECK(only_deny.admits(client("[2001:db8::1]:5")));
  CHECK(only_deny.admits(client("unix:@x")));

  const IpRules only_allow{.allow = {range("10.0.0.0/8"), range("::1")}, .deny = {}};
  CHECK(only_allow.admits(client("10.1.1.1:5")));
  CHECK(only_allow.admits(client("[::1]:5")));
  CHECK_FALSE(only_allow.admits(client("192.0.2.1:5")));
  CHECK_FALSE(only_allow.admits(client("unix:@x")));

  const IpRules both{.allow = {range("10.0.0.0/8")}, .deny = {range("10.9.0.0/16")}};
  CHECK(both.admits(client("10.1.1.1:5")));
  CHECK_FALSE(both.admits(client("10.9.1.1:5")));
}
