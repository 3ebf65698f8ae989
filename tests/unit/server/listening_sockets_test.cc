#include "proxy/server/listening_sockets.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "proxy/server/bind.h"

using namespace baton;
using proxy::ListeningSockets;
using proxy::WantedSockets;

namespace {

WantedSockets wanted(std::uint32_t count) {
  const auto any = *os::SocketAddress::parse("127.0.0.1:0");
  const auto fd = proxy::bind_stream_socket(any, proxy::GroupPlace::First);
  REQUIRE(fd);
  const auto address = *os::SocketAddress::of_socket(fd->get());
  return {.name = "db", .address = address, .key = proto::stream_key(address), .count = count};
}

WantedSockets wanted_datagrams(std::uint32_t count) {
  WantedSockets want = wanted(count);
  want.key = proto::datagram_key(want.address);
  return want;
}

WantedSockets wanted_at(const std::filesystem::path& path) {
  const auto address = *os::SocketAddress::parse("unix:" + path.string());
  return {.name = "db", .address = address, .key = proto::stream_key(address)};
}

proto::SocketInfo info(const WantedSockets& want, std::uint32_t index) {
  proto::SocketInfo result;
  *result.mutable_key() = want.key;
  result.set_index(index);
  return result;
}

}  // namespace

TEST_CASE("listening sockets: what is missing is bound, what was inherited is kept") {
  const WantedSockets want = wanted(4);
  auto inherited = proxy::bind_stream_socket(want.address, proxy::GroupPlace::First);
  REQUIRE(inherited);
  const int kept = inherited->get();
  ListeningSockets sockets;
  REQUIRE(sockets.add(info(want, 2), std::move(*inherited)));
  REQUIRE(sockets.bind_missing({want}));
  const auto all = sockets.of(want.key);
  REQUIRE(all.size() == 4);
  CHECK(all[2]->fd.get() == kept);
  CHECK(sockets.bound_here().size() == 3);
  CHECK(sockets.listen({want}));
}

TEST_CASE("socket keys: a wildcard differs from what it covers in the address alone") {
  const auto wildcard_of = [](const char* address) {
    return proto::wildcard_of(proto::stream_key(*os::SocketAddress::parse(address)));
  };
  const auto same = [](const std::optional<proto::SocketKey>& wildcard, const char* address) {
    const auto key = proto::stream_key(*os::SocketAddress::parse(address));
    return wildcard && proto::identity(*wildcard) == proto::identity(key);
  };
  CHECK(same(wildcard_of("127.0.0.1:80"), "0.0.0.0:80"));
  CHECK(same(wildcard_of("[::1]:80"), "[::]:80"));
  CHECK_FALSE(same(wildcard_of("127.0.0.1:80"), "[::]:80"));
  const WantedSockets datagrams = wanted_datagrams(1);
  CHECK(proto::wildcard_of(datagrams.key)->type() == proto::SocketKey::DATAGRAM);
  for (const char* address : {"0.0.0.0:80", "[::]:80", "unix:/run/x.sock", "unix:@x"}) {
    CHECK_FALSE(wildcard_of(address));
  }
}

TEST_CASE("socket keys: a socket's is what a listener would ask for") {
  for (const char* text : {"127.0.0.1:0", "[::1]:0", "unix:@baton-key-of-socket"}) {
    CAPTURE(text);
    const auto fd =
        proxy::bind_stream_socket(*os::SocketAddress::parse(text), proxy::GroupPlace::First);
    REQUIRE(fd);
    const auto key = proto::key_of_socket(fd->get());
    REQUIRE(key);
    const auto address = *os::SocketAddress::of_socket(fd->get());
    CHECK(proto::identity(*key) == proto::identity(proto::stream_key(address)));
    CHECK(proto::verify_socket(fd->get(), *key));
  }
  const os::UniqueFd datagrams(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  CHECK(proto::key_of_socket(datagrams.get())->type() == proto::SocketKey::DATAGRAM);
  const os::UniqueFd unix_datagrams(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  CHECK_FALSE(proto::key_of_socket(unix_datagrams.get()));
  CHECK_FALSE(proto::key_of_socket(-1));
}

TEST_CASE("listening sockets: more of them than workers are all kept") {
  const WantedSockets want = wanted(1);
  ListeningSockets sockets;
  for (std::uint32_t index = 0; index < 8; ++index) {
    auto fd = proxy::bind_stream_socket(
        want.address, index == 0 ? proxy::GroupPlace::First : proxy::GroupPlace::Next);
    REQUIRE(fd);
    REQUIRE(sockets.add(info(want, index), std::move(*fd)));
  }
  REQUIRE(sockets.bind_missing({want}));
  CHECK(sockets.of(want.key).size() == 8);
  CHECK(sockets.bound_here().empty());
}

TEST_CASE("listening sockets: a socket that is not what its key says is refused and closed") {
  const WantedSockets want = wanted(1);
  ListeningSockets sockets;
  const auto elsewhere = *os::SocketAddress::parse("127.0.0.1:0");
  auto other = proxy::bind_stream_socket(elsewhere, proxy::GroupPlace::First);
  REQUIRE(other);
  const int number = other->get();
  CHECK(!sockets.add(info(want, 0), std::move(*other)));
  CHECK(!sockets.has(want.key));
  CHECK(::fcntl(number, F_GETFD) == -1);

  os::UniqueFd datagram(::socket(AF_INET, SOCK_DGRAM, 0));
  REQUIRE(::bind(datagram.get(), want.address.data(), want.address.length()) == 0);
  CHECK(!sockets.add(info(want, 0), std::move(datagram)));

  os::UniqueFd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  CHECK(!sockets.add(info(want, 0), std::move(file)));
}

TEST_CASE("listening sockets: a bind that fails names the listener") {
  const WantedSockets want = wanted(1);
  os::UniqueFd taken(::socket(AF_INET, SOCK_STREAM, 0));
  REQUIRE(::bind(taken.get(), want.address.data(), want.address.length()) == 0);
  REQUIRE(::listen(taken.get(), 1) == 0);
  ListeningSockets sockets;
  const auto bound = sockets.bind_missing({want});
  REQUIRE(!bound);
  CHECK(bound.error().text().find("listener \"db\"") != std::string::npos);
  CHECK(bound.error().text().find(want.address.text()) != std::string::npos);
}

TEST_CASE("listening sockets: tcp and udp of one address are never confused") {
  const WantedSockets stream = wanted(2);
  WantedSockets datagram = stream;
  datagram.key = proto::datagram_key(stream.address);
  ListeningSockets sockets;
  REQUIRE(sockets.bind_missing({stream, datagram}));
  REQUIRE(sockets.of(stream.key).size() == 2);
  REQUIRE(sockets.of(datagram.key).size() == 2);
  for (const auto* socket : sockets.of(stream.key)) {
    CHECK(proto::verify_socket(socket->fd.get(), stream.key));
    CHECK_FALSE(proto::verify_socket(socket->fd.get(), datagram.key));
  }
  for (const auto* socket : sockets.of(datagram.key)) {
    CHECK(proto::verify_socket(socket->fd.get(), datagram.key));
    CHECK_FALSE(proto::verify_socket(socket->fd.get(), stream.key));
  }
  CHECK(sockets.listen({stream, datagram}));
  sockets.close(stream.key);
  CHECK(sockets.of(datagram.key).size() == 2);
}

TEST_CASE("listening sockets: none joins udp sockets that others read before it is read itself") {
  const WantedSockets want = wanted_datagrams(4);
  auto inherited = proxy::bind_datagram_socket(want.address, proxy::GroupPlace::First);
  REQUIRE(inherited);
  ListeningSockets sockets;
  REQUIRE(sockets.add(info(want, 0), std::move(*inherited)));
  REQUIRE(sockets.bind_missing({want}));
  CHECK(sockets.of(want.key).size() == 1);
  CHECK(sockets.bound_here().empty());
  CHECK(sockets.bind_delayed({want}).value().size() == 3);
  CHECK(sockets.of(want.key).size() == 4);
  CHECK(sockets.bound_here().size() == 3);
  CHECK(sockets.bind_delayed({want}).value().empty());
}

TEST_CASE("listening sockets: a udp address where ours may have sockets is bound last, or fails") {
  const WantedSockets want = wanted_datagrams(2);
  ListeningSockets sockets;
  sockets.note_ours(want.key, {});
  REQUIRE(sockets.bind_missing({want}));
  CHECK(sockets.of(want.key).empty());
  SUBCASE("it is free") {
    const auto bound = sockets.bind_delayed({want});
    REQUIRE(bound);
    CHECK(bound->size() == 2);
    CHECK(sockets.of(want.key).size() == 2);
  }
  SUBCASE("a stranger has it") {
    const os::UniqueFd stranger(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    REQUIRE(::bind(stranger.get(), want.address.data(), want.address.length()) == 0);
    const auto bound = sockets.bind_delayed({want});
    REQUIRE_FALSE(bound);
    CHECK(bound.error().code == EADDRINUSE);
  }
}

TEST_CASE("listening sockets: a udp address that nobody reads is bound at once") {
  const WantedSockets want = wanted_datagrams(4);
  ListeningSockets sockets;
  REQUIRE(sockets.bind_missing({want}));
  CHECK(sockets.of(want.key).size() == 4);
  CHECK(sockets.bind_delayed({want}).value().empty());
}

TEST_CASE("listening sockets: another unix socket is bound only where the path leads to none") {
  const std::string path = "/tmp/baton-listening-" + std::to_string(::getpid());
  WantedSockets want = wanted(1);
  want.address = *os::SocketAddress::parse("unix:" + path);
  want.key = proto::stream_key(want.address);
  auto first = proxy::bind_stream_socket(want.address, proxy::GroupPlace::First);
  REQUIRE(first);
  ListeningSockets sockets;
  REQUIRE(sockets.add(info(want, 1), std::move(*first)));
  ::unlink(path.c_str());
  REQUIRE(sockets.bind_missing({want}));
  CHECK(sockets.bound_here().empty());
  sockets.note_unreachable(want.key);
  REQUIRE(sockets.bind_missing({want}));
  CHECK(sockets.of(want.key).size() == 2);
  REQUIRE(sockets.bound_here().size() == 1);
  CHECK(sockets.bound_here().front()->index == 0);
  SUBCASE("and goes again") {
    sockets.remove_unix_paths_bound_here();
    CHECK(::access(path.c_str(), F_OK) != 0);
  }
  SUBCASE("another program's stays") {
    ::unlink(path.c_str());
    const auto other = proxy::bind_stream_socket(want.address, proxy::GroupPlace::First);
    REQUIRE(other);
    sockets.remove_unix_paths_bound_here();
    CHECK(::unlink(path.c_str()) == 0);
  }
}

TEST_CASE("listening sockets: a unix path that a link leads to is not bound a second time") {
  char name[] = "/tmp/baton-spellings-XXXXXX";
  REQUIRE(::mkdtemp(name) != nullptr);
  const std::filesystem::path folder = name;
  std::filesystem::create_directory(folder / "run");
  std::filesystem::create_directory_symlink("run", folder / "link");
  const WantedSockets first = wanted_at(folder / "run/s");
  const WantedSockets second = wanted_at(folder / "link/s");
  ListeningSockets sockets;
  // What nobody has any more is replaced as ever.
  auto at_first = proxy::bind_stream_socket(first.address, proxy::GroupPlace::First);
  REQUIRE(at_first);
  SUBCASE("both are new") { at_first->reset(); }
  SUBCASE("one was inherited") { REQUIRE(sockets.add(info(first, 0), std::move(*at_first))); }
  const auto bound = sockets.bind_missing({first, second});
  REQUIRE_FALSE(bound);
  CHECK(bound.error().text() == "listener \"db\": " + second.address.text() +
                                    " is listened on already as " + first.address.text());
  CHECK_FALSE(sockets.has(second.key));
  REQUIRE(sockets.of(first.key).size() == 1);
  REQUIRE(sockets.listen({first}));
  const os::UniqueFd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  CHECK(::connect(client.get(), second.address.data(), second.address.length()) == 0);
  std::filesystem::remove_all(folder);
}
