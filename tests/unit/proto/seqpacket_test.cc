#include "proto/seqpacket.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>

#include "tests/unit/in_child.h"
#include "tests/unit/open_fds.h"

using namespace baton;
using namespace baton::proto;

namespace {

struct Pair {
  Pair() {
    auto ends = make_pair();
    REQUIRE(ends);
    a = std::move(ends->first);
    b = std::move(ends->second);
  }
  IoStatus send(std::string_view bytes, std::span<const int> fds = {}) {
    return send_datagram(a.get(), std::as_bytes(std::span(bytes)), fds);
  }
  IoStatus receive() { return receive_datagram(b.get(), datagram); }

  os::UniqueFd a, b;
  Datagram datagram;
};

bool same_file(int a, int b) {
  struct stat x{}, y{};
  return ::fstat(a, &x) == 0 && ::fstat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

}  // namespace

TEST_CASE("seqpacket: both ends of a pair are non-blocking and close-on-exec") {
  Pair pair;
  for (const int fd : {pair.a.get(), pair.b.get()}) {
    CHECK((::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    CHECK((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
  }
}

TEST_CASE("seqpacket: datagrams keep their boundaries and their descriptors") {
  Pair pair;
  const int fds[] = {pair.a.get(), pair.b.get()};
  REQUIRE(pair.send("one") == IoStatus::Done);
  REQUIRE(pair.send("two", fds) == IoStatus::Done);
  REQUIRE(pair.receive() == IoStatus::Done);
  CHECK(pair.datagram.bytes == "one");
  CHECK(pair.datagram.fds.empty());
  REQUIRE(pair.receive() == IoStatus::Done);
  CHECK(pair.datagram.bytes == "two");
  REQUIRE(pair.datagram.fds.size() == 2);
  CHECK(same_file(pair.datagram.fds[0].get(), pair.a.get()));
  CHECK(same_file(pair.datagram.fds[1].get(), pair.b.get()));
  CHECK(pair.receive() == IoStatus::WouldBlock);
  CHECK(pair.datagram.fds.empty());
}

TEST_CASE("seqpacket: descriptors arrive close-on-exec") {
  Pair pair;
  const os::UniqueFd plain(::open("/dev/null", O_RDONLY));  // inheritable on purpose
  const int fds[] = {plain.get()};
  REQUIRE(pair.send("x", fds) == IoStatus::Done);
  REQUIRE(pair.receive() == IoStatus::Done);
  CHECK((::fcntl(pair.datagram.fds.at(0).get(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("seqpacket: 253 descriptors pass, one more is an error and sends nothing") {
  Pair pair;
  const std::vector<int> fds(kMaxFdsPerMessage + 1, pair.a.get());
  errno = 0;
  CHECK(pair.send("x", fds) == IoStatus::Failed);
  CHECK(errno == EINVAL);
  CHECK(pair.receive() == IoStatus::WouldBlock);
  REQUIRE(pair.send("x", std::span(fds).first(kMaxFdsPerMessage)) == IoStatus::Done);
  REQUIRE(pair.receive() == IoStatus::Done);
  CHECK(pair.datagram.fds.size() == kMaxFdsPerMessage);
}

TEST_CASE("seqpacket: a datagram of 64 KiB passes, a longer one is malformed and leaks nothing") {
  Pair pair;
  const int fds[] = {pair.a.get(), pair.a.get()};
  REQUIRE(pair.send(std::string(kMaxDatagramBytes, 'x'), fds) == IoStatus::Done);
  REQUIRE(pair.receive() == IoStatus::Done);
  CHECK(pair.datagram.bytes.size() == kMaxDatagramBytes);
  pair.datagram.fds.clear();

  const auto before = baton::test::open_fds();
  REQUIRE(pair.send(std::string(kMaxDatagramBytes + 1, 'x'), fds) == IoStatus::Done);
  CHECK(pair.receive() == IoStatus::Malformed);
  CHECK(baton::test::open_fds() == before);
}

TEST_CASE("seqpacket: descriptors that do not all fit are lost, the bytes are not, nothing leaks") {
  CHECK(baton::test::in_child([] {
          auto ends = make_pair();
          if (!ends) return 1;
          const std::vector<int> fds(8, ends->first.get());
          const std::string bytes = "x";
          if (send_datagram(ends->first.get(), std::as_bytes(std::span(bytes)), fds) !=
              IoStatus::Done) {
            return 2;
          }
          const auto before = baton::test::open_fds();
          if (!baton::test::leave_free_fds(4)) return 3;
          Datagram datagram;
          if (receive_datagram(ends->second.get(), datagram) != IoStatus::FdsLost) return 4;
          if (!datagram.fds.empty() || datagram.bytes != bytes) return 5;
          return baton::test::open_fds() == before ? 0 : 6;
        }) == 0);
}

TEST_CASE("seqpacket: what was sent before a close is read before the end, unread replies or not") {
  for (const bool leave_unread : {false, true}) {
    CAPTURE(leave_unread);
    Pair pair;
    const std::string unread = "never read";
    if (leave_unread) {
      REQUIRE(send_datagram(pair.b.get(), std::as_bytes(std::span(unread)), {}) == IoStatus::Done);
    }
    REQUIRE(pair.send("last words") == IoStatus::Done);
    pair.a.reset();
    REQUIRE(pair.receive() == IoStatus::Done);
    CHECK(pair.datagram.bytes == "last words");
    CHECK(pair.receive() == IoStatus::Closed);
    CHECK(pair.receive() == IoStatus::Closed);
  }
}

TEST_CASE("seqpacket: an empty datagram is the end, and its descriptors are closed") {
  Pair pair;
  const int fds[] = {pair.a.get()};
  const auto before = baton::test::open_fds();
  REQUIRE(pair.send("", fds) == IoStatus::Done);
  CHECK(pair.receive() == IoStatus::Closed);
  CHECK(baton::test::open_fds() == before);
}

TEST_CASE("seqpacket: sending to a peer that is gone says so, without a signal") {
  Pair pair;
  pair.b.reset();
  CHECK(pair.send("x") == IoStatus::Closed);
}

TEST_CASE("seqpacket: sending to a peer that does not read would block, and what was sent stays") {
  Pair pair;
  const std::string bytes(1000, 'x');
  int sent = 0;
  while (pair.send(bytes) == IoStatus::Done) ++sent;
  CHECK(pair.send(bytes) == IoStatus::WouldBlock);
  int received = 0;
  while (pair.receive() == IoStatus::Done) ++received;
  CHECK(sent > 0);
  CHECK(received == sent);
}

TEST_CASE("seqpacket: a bad descriptor is an error, not a closed peer") {
  Pair pair;
  const int fds[] = {1 << 20};
  CHECK(pair.send("x", fds) == IoStatus::Failed);
  CHECK(errno == EBADF);
  CHECK(send_datagram(-1, {}, {}) == IoStatus::Failed);
  CHECK(receive_datagram(-1, pair.datagram) == IoStatus::Failed);
}
