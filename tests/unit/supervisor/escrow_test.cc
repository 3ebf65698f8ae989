#include "supervisor/escrow.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>

#include <filesystem>
#include <fstream>

#include "temporary_directory.h"

namespace baton::supervisor {
namespace {

SocketKey tcp(const std::string& address) { return {address, proto::SocketKey::STREAM, ""}; }

os::UniqueFd some_socket() {
  return os::UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

TEST_CASE("escrow: keeps a socket once, under its key and index") {
  SupervisorState state;
  Escrow escrow(state);
  os::UniqueFd first = some_socket();
  const int kept = first.get();
  escrow.put(tcp("127.0.0.1:1"), 0, 1, std::move(first));
  os::UniqueFd again = some_socket();
  const int closed = again.get();
  escrow.put(tcp("127.0.0.1:1"), 0, 2, std::move(again));
  CHECK(is_open(kept));
  CHECK_FALSE(is_open(closed));
  escrow.put(tcp("127.0.0.1:1"), 1, 2, some_socket());
  REQUIRE(escrow.of(std::vector{tcp("127.0.0.1:1")}).size() == 2);
  CHECK(escrow.fd(0) == kept);
  CHECK(escrow.entry(1).index == 1);
}

TEST_CASE("escrow: type and options tell keys apart") {
  SupervisorState state;
  Escrow escrow(state);
  const SocketKey udp{"127.0.0.1:1", proto::SocketKey::DATAGRAM, ""};
  const SocketKey shared{"127.0.0.1:1", proto::SocketKey::STREAM, "reuseport"};
  for (const SocketKey& key : {tcp("127.0.0.1:1"), udp, shared}) {
    escrow.put(key, 0, 1, some_socket());
  }
  CHECK(state.escrow.size() == 3);
  CHECK(escrow.of(std::vector{udp}).size() == 1);
}

TEST_CASE("escrow: what a failed generation added goes to the one that stays") {
  SupervisorState state;
  Escrow escrow(state);
  const std::vector keys{tcp("a:1"), tcp("b:1")};
  escrow.put(keys[0], 0, 1, some_socket());
  escrow.put(keys[0], 1, 2, some_socket());
  escrow.put(keys[1], 0, 2, some_socket());
  CHECK(escrow.added_by(2, std::span(keys).first(1)).size() == 1);
  escrow.hand_over(keys[0], 1, 1);
  CHECK(escrow.added_by(2, std::span(keys).first(1)).empty());
  CHECK(escrow.added_by(1, std::span(keys).first(1)).size() == 2);
  escrow.keep_only(std::span(keys).first(1));
  CHECK(state.escrow.size() == 2);
}

TEST_CASE(
    "escrow: sockets of narrower addresses are found if they listen, TCP only, each key once") {
  SupervisorState state;
  Escrow escrow(state);
  const auto listening = [] {
    os::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(::listen(fd.get(), 1) == 0);
    return fd;
  };
  const SocketKey udp{"127.0.0.3:1", proto::SocketKey::DATAGRAM, ""};
  for (const SocketKey& key : {tcp("127.0.0.1:1"), tcp("127.0.0.1:2"), tcp("[::1]:1"), udp}) {
    escrow.put(key, 0, 1, listening());
    escrow.put(key, 1, 1, listening());
  }
  escrow.put(tcp("127.0.0.2:1"), 0, 1, some_socket());
  escrow.put(tcp("0.0.0.0:1"), 0, 1, listening());
  const auto narrower = [&](const std::vector<SocketKey>& keys) {
    return escrow.narrower_than(keys);
  };
  CHECK(narrower({tcp("0.0.0.0:1")}) == std::vector{tcp("127.0.0.1:1")});
  CHECK(narrower({tcp("0.0.0.0:1"), tcp("[::]:1")}) ==
        std::vector{tcp("127.0.0.1:1"), tcp("[::1]:1")});
  CHECK(narrower({tcp("0.0.0.0:1"), tcp("127.0.0.1:1")}).empty());
  CHECK(narrower({tcp("127.0.0.9:1"), {"0.0.0.0:1", proto::SocketKey::DATAGRAM, ""}}).empty());
}

TEST_CASE("escrow: addresses of ours are the same ones and those that overlap, without a socket") {
  SupervisorState state;
  Escrow escrow(state);
  state.left_behind = {tcp("127.0.0.1:1")};
  state.generations[3].keys = {tcp("127.0.0.1:2"), tcp("0.0.0.0:3"), tcp("unix:/run/x.sock")};
  escrow.put(tcp("127.0.0.1:4"), 0, 3, some_socket());
  escrow.put(tcp("[::]:5"), 0, 3, some_socket());
  const auto is_ours = [&](const SocketKey& key) {
    return escrow.ours(std::vector{key}) == std::vector{key};
  };
  for (const char* address :
       {"127.0.0.1:1", "0.0.0.0:1", "127.0.0.1:2", "0.0.0.0:2", "0.0.0.0:3", "127.0.0.1:3",
        "127.0.0.2:3", "unix:/run/x.sock", "0.0.0.0:4", "[::1]:5"}) {
    CAPTURE(address);
    CHECK(is_ours(tcp(address)));
    CHECK_FALSE(is_ours({address, proto::SocketKey::DATAGRAM, ""}));
  }
  for (const char* address : {"127.0.0.2:1", "[::]:1", "[::1]:3", "127.0.0.1:5", "0.0.0.0:5",
                              "unix:/run/y.sock", "127.0.0.1:6"}) {
    CAPTURE(address);
    CHECK_FALSE(is_ours(tcp(address)));
  }
  for (const char* in_escrow : {"127.0.0.1:4", "[::]:5"}) CHECK_FALSE(is_ours(tcp(in_escrow)));
}

TEST_CASE("escrow: one socket is dropped and closed; one that is not there changes nothing") {
  SupervisorState state;
  Escrow escrow(state);
  os::UniqueFd socket = some_socket();
  const int fd = socket.get();
  escrow.put(tcp("a:1"), 0, 1, some_socket());
  escrow.put(tcp("a:1"), 1, 1, std::move(socket));
  escrow.drop(tcp("a:1"), 2);
  escrow.hand_over(tcp("b:1"), 0, 2);
  CHECK(state.escrow.size() == 2);
  escrow.drop(tcp("a:1"), 1);
  CHECK(state.escrow.size() == 1);
  CHECK(::fcntl(fd, F_GETFD) == -1);
}

TEST_CASE("escrow: dropping closes the socket and unlinks its path, unless another key uses it") {
  TemporaryDirectory directory;
  std::ofstream(directory / "gone.sock") << "";
  std::ofstream(directory / "used.sock") << "";
  SupervisorState state;
  Escrow escrow(state);
  os::UniqueFd socket = some_socket();
  const int fd = socket.get();
  const SocketKey used{"unix:" + (directory / "used.sock"), proto::SocketKey::STREAM, "new"};
  escrow.put(tcp("unix:" + (directory / "gone.sock")), 0, 1, std::move(socket));
  escrow.put(tcp(used.address), 0, 1, some_socket());
  escrow.put(used, 0, 2, some_socket());
  escrow.keep_only(std::vector{used});
  CHECK_FALSE(is_open(fd));
  CHECK_FALSE(std::filesystem::exists(directory / "gone.sock"));
  CHECK(std::filesystem::exists(directory / "used.sock"));
  escrow.clear();
  CHECK(state.escrow.empty());
  CHECK_FALSE(std::filesystem::exists(directory / "used.sock"));
}

namespace {

// An escrow whose entries have files at one path.
struct UnixPath {
  UnixPath() { replace(); }
  // Somebody puts another file there; the one before stays, as one that a socket is bound to does.
  FileId replace() {
    ++files;
    if (std::filesystem::exists(path)) {
      std::filesystem::rename(path, path + std::to_string(files));
    }
    std::ofstream(path) << files;
    return *file_at(path);
  }
  void put(std::uint32_t index) { escrow.put(key, index, 1, some_socket(), *file_at(path)); }
  bool is_unreachable() { return escrow.unreachable(std::vector{key}) == std::vector{key}; }

  TemporaryDirectory directory;
  std::string path = directory / "a.sock";
  SocketKey key = tcp("unix:" + path);
  int files = 0;
  SupervisorState state;
  Escrow escrow{state};
};

}  // namespace

TEST_CASE("escrow: a path that was removed or replaced leads to no socket, until there is one") {
  UnixPath unix_path;
  CHECK_FALSE(unix_path.is_unreachable());  // it has none
  unix_path.put(0);
  CHECK_FALSE(unix_path.is_unreachable());
  unix_path.replace();
  CHECK(unix_path.is_unreachable());
  std::filesystem::remove(unix_path.path);
  CHECK(unix_path.is_unreachable());
  unix_path.replace();
  unix_path.put(1);
  CHECK_FALSE(unix_path.is_unreachable());
}

TEST_CASE("escrow: a socket whose file nobody knows is taken for the one at its path") {
  UnixPath unix_path;
  unix_path.escrow.put(unix_path.key, 0, 1, some_socket());
  std::filesystem::remove(unix_path.path);
  CHECK_FALSE(unix_path.is_unreachable());
}

TEST_CASE("escrow: a replaced socket is dropped once its path leads to another one") {
  UnixPath unix_path;
  unix_path.put(0);
  unix_path.escrow.put(unix_path.key, 1, 1, some_socket());
  unix_path.replace();
  unix_path.escrow.drop_replaced();
  CHECK(unix_path.state.escrow.size() == 2);
  unix_path.put(2);
  unix_path.escrow.drop_replaced();
  REQUIRE(unix_path.state.escrow.size() == 1);
  CHECK(unix_path.state.escrow.front().index == 2);
  CHECK(std::filesystem::exists(unix_path.path));
}

TEST_CASE("escrow: a file that somebody else has put at the path stays") {
  UnixPath unix_path;
  unix_path.put(0);
  unix_path.replace();
  unix_path.escrow.clear();
  CHECK(std::filesystem::exists(unix_path.path));
}

TEST_CASE("escrow: the service manager's addresses stay until the end, and so does the path") {
  TemporaryDirectory directory;
  std::ofstream(directory / "theirs.sock") << "";
  SupervisorState state;
  Escrow escrow(state);
  os::UniqueFd socket = some_socket();
  const int fd = socket.get();
  const SocketKey theirs = tcp("unix:" + (directory / "theirs.sock"));
  escrow.put(theirs, 0, kActivated, std::move(socket));
  escrow.put(theirs, 1, 1, some_socket());
  escrow.put(tcp("a:1"), 0, 1, some_socket());
  escrow.put(tcp("b:1"), 0, 1, some_socket());
  CHECK(escrow.activated() == std::vector{theirs});
  escrow.keep_only(std::vector{tcp("a:1")});
  CHECK(state.escrow.size() == 3);
  CHECK(escrow.of(std::vector{theirs}).size() == 2);
  CHECK(is_open(fd));
  escrow.clear();
  CHECK(state.escrow.empty());
  CHECK_FALSE(is_open(fd));
  CHECK(std::filesystem::exists(directory / "theirs.sock"));
}

TEST_CASE("escrow: no generation has added the service manager's sockets, nor gets them") {
  SupervisorState state;
  Escrow escrow(state);
  const std::vector keys{tcp("a:1")};
  escrow.put(keys.front(), 0, kActivated, some_socket());
  escrow.put(keys.front(), 1, 2, some_socket());
  CHECK(escrow.added_by(kActivated, keys).empty());
  CHECK(escrow.added_by(2, keys).size() == 1);
  escrow.hand_over(keys.front(), 0, 1);
  escrow.hand_over(keys.front(), 1, 1);
  CHECK(escrow.activated() == keys);
  CHECK(escrow.added_by(1, keys).size() == 1);
}

}  // namespace
}  // namespace baton::supervisor
