#include "proxy/udp/datagram_batch.h"

#include <doctest/doctest.h>

#include <cerrno>
#include <string>

#include "tests/unit/fixture/sockets.h"
#include "tests/unit/udp/udp_worker.h"

using namespace baton;
using fixture::UdpPeer;
using proxy::udp::DatagramBatch;

TEST_CASE("datagram batch: datagrams of every size, also none, arrive apart and unchanged") {
  DatagramBatch batch;
  UdpPeer sender, receiver, target;
  const std::string sent[] = {"", "x", fixture::pattern(1500, 1), fixture::pattern(65507, 2), ""};
  for (const std::string& each : sent) sender.send_to(receiver.address(), each);
  REQUIRE(batch.receive(receiver.fd(), DatagramBatch::Source::Clients) == 5);
  for (std::size_t i = 0; i < 5; ++i) {
    CHECK(batch.size(i) == sent[i].size());
    CHECK(batch.flow(i).client_address() == sender.address());
  }
  REQUIRE(::connect(sender.fd(), target.address().data(), target.address().length()) == 0);
  const auto result = batch.send(sender.fd(), 0, 5);
  CHECK(result.count == 5);
  CHECK(result.bytes == 1 + 1500 + 65507);
  CHECK(result.error == 0);
  for (const std::string& each : sent) CHECK(target.receive() == each);
  CHECK_FALSE(target.receive());
}

TEST_CASE("datagram batch: a full one leaves the rest for the next") {
  DatagramBatch batch;
  UdpPeer sender, receiver;
  for (std::size_t i = 0; i <= DatagramBatch::kMost; ++i) sender.send_to(receiver.address(), "x");
  CHECK(batch.receive(receiver.fd(), DatagramBatch::Source::Clients) == DatagramBatch::kMost);
  CHECK(batch.receive(receiver.fd(), DatagramBatch::Source::Clients) == 1);
  CHECK(batch.receive(receiver.fd(), DatagramBatch::Source::Clients) == 0);
  CHECK(errno == EAGAIN);
}

TEST_CASE("datagram batch: a reply leaves from where the datagram was sent to") {
  DatagramBatch batch;
  UdpPeer client, wildcard("0.0.0.0:0");
  const auto there =
      *os::SocketAddress::parse("127.7.8.9:" + std::to_string(wildcard.address().port()));
  client.send_to(there, "question");
  REQUIRE(batch.receive(wildcard.fd(), DatagramBatch::Source::Clients) == 1);
  CHECK(batch.flow(0).has_local());
  CHECK(batch.send_to(batch.flow(0), wildcard.fd(), 0, 1).count == 1);
  CHECK(client.receive() == "question");
  CHECK(client.last() == there);
}

TEST_CASE("datagram batch: a refusal is told once, by the call that comes after it") {
  DatagramBatch batch;
  UdpPeer sender, gone;
  REQUIRE(::connect(sender.fd(), gone.address().data(), gone.address().length()) == 0);
  gone.close();
  REQUIRE(::send(sender.fd(), "x", 1, 0) == 1);
  CHECK(batch.receive(sender.fd(), DatagramBatch::Source::Endpoint) == 0);
  CHECK(errno == ECONNREFUSED);
  CHECK(batch.receive(sender.fd(), DatagramBatch::Source::Endpoint) == 0);
  CHECK(errno == EAGAIN);
}
