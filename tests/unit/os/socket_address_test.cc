#include "shared/os/socket_address.h"

#include <doctest/doctest.h>
#include <net/if.h>

#include <cerrno>
#include <cstring>

#include "shared/os/unique_fd.h"

using namespace baton::os;

TEST_CASE("socket address: the canonical text of what was parsed") {
  struct Row {
    const char* text;
    const char* canonical;
    int family;
    int port;
  };
  const Row rows[] = {
      {"127.0.0.1:80", "127.0.0.1:80", AF_INET, 80},
      {"0.0.0.0:0", "0.0.0.0:0", AF_INET, 0},
      {"255.255.255.255:65535", "255.255.255.255:65535", AF_INET, 65535},
      {"127.0.0.1:0080", "127.0.0.1:80", AF_INET, 80},
      {"[::1]:80", "[::1]:80", AF_INET6, 80},
      {"[::]:443", "[::]:443", AF_INET6, 443},
      {"[2001:DB8:0:0::0001]:1", "[2001:db8::1]:1", AF_INET6, 1},
      {"[::ffff:10.0.0.1]:5", "[::ffff:10.0.0.1]:5", AF_INET6, 5},
      {"[fe80::1%lo]:9", "[fe80::1%lo]:9", AF_INET6, 9},
      {"[ff02::1%lo]:9", "[ff02::1%lo]:9", AF_INET6, 9},
      {"[::1%lo]:9", "[::1]:9", AF_INET6, 9},
      {"[2001:db8::1%lo]:9", "[2001:db8::1]:9", AF_INET6, 9},
      {"unix:/run/x.sock", "unix:/run/x.sock", AF_UNIX, 0},
      {"unix:relative", "unix:relative", AF_UNIX, 0},
      {"unix:@abstract", "unix:@abstract", AF_UNIX, 0},
      {"unix:/a:b@c", "unix:/a:b@c", AF_UNIX, 0},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    const auto address = SocketAddress::parse(row.text);
    REQUIRE(address);
    CHECK(address->text() == row.canonical);
    CHECK(address->family() == row.family);
    CHECK(address->port() == row.port);
    CHECK(SocketAddress::from_sockaddr(address->data(), address->length()) == *address);
    CHECK(*SocketAddress::parse(address->text()) == *address);
  }
}

TEST_CASE("socket address: what is none is refused, with the reason") {
  const std::string nul("127.0.0.1\0x:80", 14);
  const std::string unix_nul("unix:/a\0b", 9);
  const std::string too_long = "unix:/" + std::string(107, 'x');
  const std::string loopback = "127.0.0.1";
  struct Row {
    std::string text;
    std::string reason;
  };
  const Row rows[] = {
      {"", "no port in"},
      {"127.0.0.1", "no port in 127.0.0.1"},
      {"localhost:80", "host names are not looked up"},
      {":80", "not a numeric address"},
      {"127.0.0.1:", "port must be a number"},
      {"127.0.0.1:-1", "port must be a number"},
      {"127.0.0.1:65536", "from 0 to 65535"},
      {"127.0.0.1:99999999999", "from 0 to 65535"},
      {"127.0.0.1:80x", "port must be a number"},
      {"127.0.0.1: 80", "port must be a number"},
      {"127.0.0.1:http", "port must be a number"},
      {"127.0.0.256:80", "not a numeric address"},
      {"127.1:80", "not a numeric address"},
      {"::1:80", "needs brackets"},
      {"[::1]", "port must be a number"},
      {"[::1:80", "needs brackets"},
      {"[]:80", "not an IPv6 address"},
      {"[127.0.0.1]:80", "not an IPv6 address"},
      {"[fe80::1%no_such_if]:80", "unknown interface"},
      {"unix:", "no path in"},
      {"unix:@", "no path in"},
      {too_long, "longer than 107 bytes"},
      {nul, "NUL in"},
      {unix_nul, "NUL in"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    const auto address = SocketAddress::parse(row.text);
    REQUIRE_FALSE(address);
    CHECK(address.error().text().find(row.reason) != std::string::npos);
  }
}

TEST_CASE("socket address: addresses that differ in anything are not equal") {
  const char* const all[] = {"127.0.0.1:80", "0.0.0.0:80",        "127.0.0.1:81", "[::1]:80",
                             "[::]:80",      "unix:127.0.0.1:80", "unix:x",       "unix:@x"};
  for (const char* a : all) {
    for (const char* b : all) {
      CHECK((*SocketAddress::parse(a) == *SocketAddress::parse(b)) == (std::strcmp(a, b) == 0));
    }
  }
}

TEST_CASE("socket address: paths at the longest, and those that others bound without a NUL") {
  const std::string path = "/" + std::string(106, 'x');
  const auto longest = SocketAddress::parse("unix:" + path);
  REQUIRE(longest);
  CHECK(longest->unix_path() == path);

  sockaddr_un full{};
  full.sun_family = AF_UNIX;
  std::memset(full.sun_path, 'y', sizeof full.sun_path);
  const auto foreign =
      SocketAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(&full), sizeof full);
  CHECK(foreign.unix_path() == std::string(108, 'y'));
  CHECK(foreign.text() == "unix:" + std::string(108, 'y'));
}

TEST_CASE("socket address: which unix addresses have a name in the file system") {
  CHECK(SocketAddress::parse("unix:/x")->is_unix_path());
  CHECK(SocketAddress::parse("unix:/x")->unix_path() == "/x");
  CHECK_FALSE(SocketAddress::parse("unix:@x")->is_unix_path());
  CHECK(SocketAddress::parse("unix:@x")->unix_path().empty());
  CHECK_FALSE(SocketAddress::parse("127.0.0.1:1")->is_unix());
  const UniqueFd unnamed(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto address = SocketAddress::of_socket(unnamed.get());
  REQUIRE(address);
  CHECK_FALSE(address->is_unix_path());
  CHECK(address->text() == "unix:");
}

TEST_CASE("socket address: of a bound socket") {
  for (const char* text : {"127.0.0.1:0", "[::1]:0", "unix:@baton-socket-address-test"}) {
    CAPTURE(text);
    const auto address = SocketAddress::parse(text);
    REQUIRE(address);
    const UniqueFd fd(::socket(address->family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(::bind(fd.get(), address->data(), address->length()) == 0);
    const auto bound = SocketAddress::of_socket(fd.get());
    REQUIRE(bound);
    CHECK(bound->family() == address->family());
    if (address->is_unix()) {
      CHECK(*bound == *address);
    } else {
      CHECK(bound->port() != 0);
    }
  }
  CHECK(SocketAddress::of_socket(-1).error().code == EBADF);
}

TEST_CASE("socket address: an empty one is text, not a crash") {
  CHECK(SocketAddress().text() == "unknown");
  CHECK(SocketAddress().port() == 0);
}

TEST_CASE("socket address: the IP address alone") {
  CHECK(SocketAddress::parse("192.0.2.1:80")->ip_text() == "192.0.2.1");
  CHECK(SocketAddress::parse("[2001:db8::1]:80")->ip_text() == "2001:db8::1");
  CHECK(SocketAddress::parse("[::ffff:192.0.2.1]:80")->ip_text() == "192.0.2.1");
  CHECK(SocketAddress::parse("unix:/x")->ip_text().empty());
  CHECK(SocketAddress().ip_text().empty());
}
