#include "tests/unit/udp/udp_worker.h"

#include <doctest/doctest.h>
#include <sys/socket.h>

namespace baton::fixture {

using namespace proxy;

UdpPeer::UdpPeer(const std::string& address) {
  const auto parsed = os::SocketAddress::parse(address);
  REQUIRE(parsed);
  fd_.reset(::socket(parsed->family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  REQUIRE(fd_.valid());
  const int on = 1;
  const bool shared = parsed->port() != 0;
  if (shared) ::setsockopt(fd_.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  if (parsed->is_any()) ::setsockopt(fd_.get(), IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
  REQUIRE(::bind(fd_.get(), parsed->data(), parsed->length()) == 0);
  // Not before, or the kernel may choose a port that another peer has.
  if (!shared) ::setsockopt(fd_.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  address_ = *os::SocketAddress::of_socket(fd_.get());
}

void UdpPeer::send_to(const os::SocketAddress& whom, std::string_view datagram) {
  REQUIRE(::sendto(fd_.get(), datagram.data(), datagram.size(), 0, whom.data(), whom.length()) ==
          static_cast<ssize_t>(datagram.size()));
}

std::optional<std::string> UdpPeer::receive() {
  std::string datagram(65536, '\0');
  sockaddr_storage from{};
  socklen_t length = sizeof from;
  auto* const generic = reinterpret_cast<sockaddr*>(&from);
  const ssize_t count =
      ::recvfrom(fd_.get(), datagram.data(), datagram.size(), 0, generic, &length);
  if (count < 0) return std::nullopt;
  last_ = os::SocketAddress::from_sockaddr(generic, length);
  datagram.resize(static_cast<std::size_t>(count));
  return datagram;
}

UdpWorker::UdpWorker(const Options& options)
    : stats(*StatsStore::open(os::UniqueFd(), 0)),
      lane(stats->claim_lane()),
      metrics(ListenerMetrics::resolve(*stats, "front")),
      cluster_metrics(ClusterMetrics::resolve(*stats, "back")),
      cluster_config(options.cluster),
      listening(options.listen) {
  config.name = "front";
  config.protocol = Protocol::Udp;
  config.cluster = "back";
  config.address = listening.address();
  config.idle_timeout = options.idle_timeout;
  config.max_connections = options.max_connections;
  cluster_config.name = "back";
  for (const os::SocketAddress& endpoint : options.endpoints) {
    cluster_config.endpoints.push_back({.address = endpoint});
  }
  EventLoop* const loops[] = {&loop};
  managed = std::make_unique<ManagedCluster>(ManagedCluster::Options{.config = cluster_config,
                                                                     .loop = loop,
                                                                     .workers = loops,
                                                                     .state = shared,
                                                                     .metrics = cluster_metrics,
                                                                     .lane = *lane});
  cluster = std::make_unique<Cluster>(managed->shared(), 0, ClusterStats(cluster_metrics, *lane));
  listener = std::make_unique<udp::UdpListener>(udp::UdpListener::Options{.loop = loop.ref(),
                                                                          .batch = batch,
                                                                          .config = config,
                                                                          .metrics = metrics,
                                                                          .stats = *stats,
                                                                          .lane = *lane,
                                                                          .held = held,
                                                                          .cluster = *cluster});
  listener->accept_on(listening.fd());
}

std::string UdpWorker::received_by(UdpPeer& peer) {
  std::optional<std::string> datagram;
  REQUIRE(until([&] {
    datagram = peer.receive();
    return datagram.has_value();
  }));
  return *datagram;
}

}  // namespace baton::fixture
