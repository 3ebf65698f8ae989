#include "proxy/server/bind.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include "proto/socket_key.h"
#include "tests/unit/in_child.h"

using namespace baton;
using proxy::bind_datagram_socket;
using proxy::bind_stream_socket;
using proxy::GroupPlace;

namespace {

os::SocketAddress address(const std::string& text) {
  auto parsed = os::SocketAddress::parse(text);
  REQUIRE(parsed);
  return *parsed;
}

// Any free port: bound once, and its address used for the real thing.
os::SocketAddress free_address(const std::string& any) {
  auto fd = bind_stream_socket(address(any), GroupPlace::First);
  REQUIRE(fd);
  return *os::SocketAddress::of_socket(fd->get());
}

// A port that is free for both: what the kernel has chosen for the one may be in use for the other.
struct BothKinds {
  os::UniqueFd stream;
  os::UniqueFd datagram;
  os::SocketAddress where;
};

BothKinds bind_both(const std::string& any) {
  for (int tries = 0;; ++tries) {
    auto stream = bind_stream_socket(address(any), GroupPlace::First);
    REQUIRE(stream);
    const auto where = *os::SocketAddress::of_socket(stream->get());
    auto datagram = bind_datagram_socket(where, GroupPlace::First);
    if (datagram) return {std::move(*stream), std::move(*datagram), where};
    REQUIRE(tries < 20);
  }
}

struct TemporaryFolder {
  TemporaryFolder() {
    char name[] = "/tmp/baton-bind-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    path = name;
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path); }
  std::string path;
};

}  // namespace

TEST_CASE("bind: a second socket of our own joins the first one's group") {
  for (const std::string any : {"127.0.0.1:0", "[::1]:0"}) {
    const auto first = bind_stream_socket(address(any), GroupPlace::First);
    REQUIRE(first);
    const auto where = *os::SocketAddress::of_socket(first->get());
    REQUIRE(::listen(first->get(), 1) == 0);
    const auto second = bind_stream_socket(where, GroupPlace::Next);
    REQUIRE(second);
    CHECK(::listen(second->get(), 1) == 0);
    CHECK(proto::verify_socket(second->get(), proto::stream_key(where)));
  }
}

namespace {

// What another process gets when it binds an address that this one listens on: an error, or
// "bound".
std::string bind_elsewhere(const os::SocketAddress& where, const os::UniqueFd& held,
                           GroupPlace place,
                           decltype(&bind_stream_socket) bind = bind_stream_socket,
                           const std::set<pid_t>& ours = {}) {
  int report[2];
  REQUIRE(::pipe(report) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(held.get());
    const auto fd = bind(where, place, ours);
    const std::string text = fd ? "bound" : fd.error().text();
    [[maybe_unused]] const auto n = ::write(report[1], text.data(), text.size());
    ::_exit(0);
  }
  char buffer[512];
  const ssize_t count = ::read(report[0], buffer, sizeof buffer);
  ::waitpid(child, nullptr, 0);
  ::close(report[0]);
  ::close(report[1]);
  REQUIRE(count > 0);
  return {buffer, static_cast<std::size_t>(count)};
}

}  // namespace

TEST_CASE("bind: an address that a stranger listens on is refused and the stranger named") {
  const auto stranger = bind_stream_socket(address("127.0.0.1:0"), GroupPlace::First);
  REQUIRE(stranger);
  REQUIRE(::listen(stranger->get(), 1) == 0);
  const auto where = *os::SocketAddress::of_socket(stranger->get());
  const std::string text = bind_elsewhere(where, *stranger, GroupPlace::First);
  CHECK(text.find(where.text()) != std::string::npos);
  CHECK(text.find("pid " + std::to_string(::getpid())) != std::string::npos);
  CHECK(text.find("Address already in use") != std::string::npos);
}

TEST_CASE("bind: an address that another process of ours still holds is joined") {
  const auto held = bind_stream_socket(address("127.0.0.1:0"), GroupPlace::First);
  REQUIRE(held);
  REQUIRE(::listen(held->get(), 1) == 0);
  const auto where = *os::SocketAddress::of_socket(held->get());
  CHECK(bind_elsewhere(where, *held, GroupPlace::Next) == "bound");
}

TEST_CASE(
    "bind: an address that only processes of ours hold is joined, one of a stranger's is not") {
  const auto held = bind_stream_socket(address("127.0.0.1:0"), GroupPlace::First);
  REQUIRE(held);
  REQUIRE(::listen(held->get(), 1) == 0);
  const auto where = *os::SocketAddress::of_socket(held->get());
  const auto among = [&](const std::set<pid_t>& ours) {
    return bind_elsewhere(where, *held, GroupPlace::First, bind_stream_socket, ours);
  };
  CHECK(among({::getpid()}) == "bound");
  const std::string refused = among({::getppid()});
  CHECK(refused.find("pid " + std::to_string(::getpid())) != std::string::npos);
}

namespace {

os::UniqueFd listen_on_v6_wildcard(std::uint16_t port, int v6_only) {
  os::UniqueFd fd(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  REQUIRE(::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof v6_only) == 0);
  REQUIRE(::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0);
  const auto where = address("[::]:" + std::to_string(port));
  REQUIRE(::bind(fd.get(), where.data(), where.length()) == 0);
  REQUIRE(::listen(fd.get(), 1) == 0);
  return fd;
}

enum class Exchange { Bound, Refused, PortInUse };

// What becomes of a process that listens on `ours`, if there is such an address, and binds `wanted`
// beside a stranger: this process, with its v6 wildcard.
Exchange exchange_beside(int v6_only, const std::string& ours, const std::string& wanted) {
  // One that takes v4, too, is bound first: of a port that is free for both families.
  os::UniqueFd stranger = listen_on_v6_wildcard(0, 0);
  const std::uint16_t port = os::SocketAddress::of_socket(stranger.get())->port();
  if (v6_only != 0) stranger = listen_on_v6_wildcard(port, v6_only);
  const auto at_port = [port](const std::string& ip) {
    return address(ip + ":" + std::to_string(port));
  };
  const os::SocketAddress after = at_port(wanted);
  std::optional<os::SocketAddress> before;
  if (!ours.empty()) before = at_port(ours);
  return static_cast<Exchange>(test::in_child([&] {
    ::close(stranger.get());
    os::Result<os::UniqueFd> held;
    if (before) held = bind_stream_socket(*before, GroupPlace::Next);
    if (before && (!held || ::listen(held->get(), 1) != 0)) {
      return static_cast<int>(Exchange::PortInUse);
    }
    const bool bound = bind_stream_socket(after, GroupPlace::First, {::getpid()}).has_value();
    return static_cast<int>(bound ? Exchange::Bound : Exchange::Refused);
  }));
}

}  // namespace

TEST_CASE("bind: beside ours a stranger's v6 wildcard counts only where it would lose v4 clients") {
  struct Case {
    int v6_only;
    std::string ours, wanted;
    Exchange result;
  };
  for (const Case& each : {Case{1, "127.0.0.1", "0.0.0.0", Exchange::Bound},
                           Case{1, "0.0.0.0", "127.0.0.1", Exchange::Bound},
                           Case{0, "127.0.0.1", "0.0.0.0", Exchange::Refused},
                           Case{0, "0.0.0.0", "127.0.0.1", Exchange::Bound},
                           Case{0, "", "127.0.0.1", Exchange::Refused}}) {
    CAPTURE(each.v6_only);
    CAPTURE(each.ours);
    CAPTURE(each.wanted);
    Exchange result = Exchange::PortInUse;
    for (int tries = 0; tries < 20 && result == Exchange::PortInUse; ++tries) {
      result = exchange_beside(each.v6_only, each.ours, each.wanted);
    }
    CHECK(result == each.result);
  }
}

TEST_CASE("bind: v4 and v6 wildcards of one port do not collide") {
  // Somebody else's v4 socket may have that very port; the two would collide each time.
  bool both = false;
  for (int tries = 0; tries < 20 && !both; ++tries) {
    const auto v6 = bind_stream_socket(address("[::]:0"), GroupPlace::First);
    REQUIRE(v6);
    REQUIRE(::listen(v6->get(), 1) == 0);
    const auto port = os::SocketAddress::of_socket(v6->get())->port();
    const auto v4 =
        bind_stream_socket(address("0.0.0.0:" + std::to_string(port)), GroupPlace::First);
    both = v4 && ::listen(v4->get(), 1) == 0;
  }
  CHECK(both);
}

TEST_CASE("bind: an address of another machine is an error with its reason") {
  const auto fd = bind_stream_socket(address("192.0.2.1:80"), GroupPlace::First);
  REQUIRE(!fd);
  CHECK(fd.error().code == EADDRNOTAVAIL);
}

TEST_CASE("bind: a stale unix socket file is replaced") {
  const TemporaryFolder folder;
  const auto where = address("unix:" + folder.path + "/s");
  {
    REQUIRE(bind_stream_socket(where, GroupPlace::First));
  }
  REQUIRE(std::filesystem::exists(where.unix_path()));
  const auto again = bind_stream_socket(where, GroupPlace::First);
  REQUIRE(again);
  CHECK(::listen(again->get(), 1) == 0);
}

TEST_CASE("bind: a unix socket that somebody listens on is refused and its owner named") {
  const TemporaryFolder folder;
  for (const std::string& place :
       {"unix:" + folder.path + "/s", "unix:@baton-test-bind-" + std::to_string(::getpid())}) {
    CAPTURE(place);
    const auto where = address(place);
    const auto live = bind_stream_socket(where, GroupPlace::First);
    REQUIRE(live);
    REQUIRE(::listen(live->get(), 1) == 0);
    const auto again = bind_stream_socket(where, GroupPlace::First);
    REQUIRE(!again);
    CHECK(again.error().code == EADDRINUSE);
    CHECK(again.error().text().find("pid " + std::to_string(::getpid())) != std::string::npos);
  }
}

TEST_CASE("bind: a path that a socket of another type has is in use") {
  const TemporaryFolder folder;
  const auto where = address("unix:" + folder.path + "/s");
  const os::UniqueFd live(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  REQUIRE(::bind(live.get(), where.data(), where.length()) == 0);
  REQUIRE(::listen(live.get(), 1) == 0);
  const auto again = bind_stream_socket(where, GroupPlace::First);
  REQUIRE(!again);
  CHECK(again.error().code == EADDRINUSE);
}

TEST_CASE("bind: a file that is no socket is left alone") {
  const TemporaryFolder folder;
  const std::string path = folder.path + "/precious";
  std::ofstream(path) << "data";
  CHECK(!bind_stream_socket(address("unix:" + path), GroupPlace::First));
  CHECK(std::filesystem::file_size(path) == 4);
}

TEST_CASE("bind: a bound socket takes no connection before it listens") {
  const auto where = free_address("127.0.0.1:0");
  const auto listening = bind_stream_socket(where, GroupPlace::First);
  REQUIRE(listening);
  REQUIRE(::listen(listening->get(), 64) == 0);
  const auto waiting = bind_stream_socket(where, GroupPlace::Next);
  REQUIRE(waiting);
  for (int i = 0; i < 32; ++i) {
    const os::UniqueFd client(::socket(AF_INET, SOCK_STREAM, 0));
    REQUIRE(::connect(client.get(), where.data(), where.length()) == 0);
    CHECK(os::UniqueFd(::accept(listening->get(), nullptr, nullptr)).valid());
  }
}

TEST_CASE("bind: udp sockets of our own share an address, one that tcp has, too") {
  for (const std::string any : {"127.0.0.1:0", "[::1]:0"}) {
    const BothKinds first = bind_both(any);
    REQUIRE(::listen(first.stream.get(), 1) == 0);
    const auto second = bind_datagram_socket(first.where, GroupPlace::Next);
    REQUIRE(second);
    CHECK(proto::verify_socket(second->get(), proto::datagram_key(first.where)));
  }
}

TEST_CASE("bind: a udp address that a stranger has is refused and the stranger named") {
  // A port that TCP has free, too: a connection of somebody else's may still linger on any other.
  BothKinds both = bind_both("127.0.0.1:0");
  both.stream.reset();
  const os::UniqueFd& held = both.datagram;
  const os::SocketAddress& where = both.where;
  for (const auto& wanted : {where, address("0.0.0.0:" + std::to_string(where.port()))}) {
    const std::string text = bind_elsewhere(wanted, held, GroupPlace::First, bind_datagram_socket);
    CHECK(text.find("pid " + std::to_string(::getpid())) != std::string::npos);
    CHECK(text.find("Address already in use") != std::string::npos);
  }
  CHECK(bind_elsewhere(where, held, GroupPlace::First) == "bound");  // TCP has ports of its own
  CHECK(bind_elsewhere(where, held, GroupPlace::Next, bind_datagram_socket) == "bound");
}

TEST_CASE("bind: udp has no unix addresses") {
  CHECK_FALSE(bind_datagram_socket(address("unix:/tmp/x"), GroupPlace::First));
}
