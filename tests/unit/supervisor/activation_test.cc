#include "supervisor/activation.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/socket_key.h"
#include "temporary_directory.h"

namespace baton::supervisor {
namespace {

os::UniqueFd bound(int type, const std::string& text) {
  const auto address = os::SocketAddress::parse(text).value();
  os::UniqueFd fd(::socket(address.family(), type | SOCK_CLOEXEC, 0));
  REQUIRE(::bind(fd.get(), address.data(), address.length()) == 0);
  return fd;
}

os::UniqueFd listening(const std::string& text) {
  os::UniqueFd fd = bound(SOCK_STREAM, text);
  REQUIRE(::listen(fd.get(), 1) == 0);
  return fd;
}

int option(int fd, int level, int name) {
  int value = 0;
  socklen_t length = sizeof value;
  REQUIRE(::getsockopt(fd, level, name, &value, &length) == 0);
  return value;
}

struct Adoption {
  SupervisorState state;
  Escrow escrow{state};

  template <class... Fds>
  void adopt(Fds... fds) {
    std::vector<InheritedFd> inherited;
    (inherited.push_back({"test", std::move(fds)}), ...);
    adopt_activated(escrow, std::move(inherited));
  }
};

TEST_CASE("activation: a listening socket waits in escrow, made as our own are") {
  Adoption adoption;
  adoption.adopt(listening("127.0.0.1:0"));
  REQUIRE(adoption.state.escrow.size() == 1);
  const int fd = adoption.escrow.fd(0);
  CHECK((::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
  CHECK(option(fd, SOL_SOCKET, SO_REUSEPORT) == 1);
  const EscrowEntry& entry = adoption.escrow.entry(0);
  CHECK(entry.added_by == kActivated);
  proto::SocketKey key;
  entry.key.to_message(key);
  CHECK(proto::verify_socket(fd, key));
}

TEST_CASE("activation: several sockets of an address are numbered") {
  Adoption adoption;
  os::UniqueFd first = listening("127.0.0.1:0");
  os::UniqueFd second(::fcntl(first.get(), F_DUPFD_CLOEXEC, 3));
  adoption.adopt(std::move(first), std::move(second));
  REQUIRE(adoption.state.escrow.size() == 2);
  CHECK(adoption.escrow.entry(0).index == 0);
  CHECK(adoption.escrow.entry(1).index == 1);
}

TEST_CASE("activation: a UDP socket on any address tells where a datagram was sent to") {
  Adoption adoption;
  adoption.adopt(bound(SOCK_DGRAM, "0.0.0.0:0"));
  REQUIRE(adoption.state.escrow.size() == 1);
  CHECK(adoption.escrow.entry(0).key.type == proto::SocketKey::DATAGRAM);
  CHECK(option(adoption.escrow.fd(0), IPPROTO_IP, IP_PKTINFO) == 1);
}

TEST_CASE("activation: what nobody could accept on is closed") {
  TemporaryDirectory directory;
  Adoption adoption;
  int pipe_fds[2];
  REQUIRE(::pipe2(pipe_fds, O_CLOEXEC) == 0);
  const os::UniqueFd other_end(pipe_fds[1]);
  adoption.adopt(os::UniqueFd(pipe_fds[0]), bound(SOCK_STREAM, "127.0.0.1:0"),
                 bound(SOCK_DGRAM, "unix:" + (directory / "datagrams")),
                 bound(SOCK_SEQPACKET, "unix:" + (directory / "packets")));
  CHECK(adoption.state.escrow.empty());
  CHECK(::fcntl(pipe_fds[0], F_GETFD) == -1);
}

TEST_CASE("activation: the path of a socket is the service manager's to remove") {
  TemporaryDirectory directory;
  const std::string path = directory / "web.sock";
  Adoption adoption;
  adoption.adopt(listening("unix:" + path));
  adoption.escrow.clear();
  CHECK(adoption.state.escrow.empty());
  CHECK(::access(path.c_str(), F_OK) == 0);
}

}  // namespace
}  // namespace baton::supervisor
