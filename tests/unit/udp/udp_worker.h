// A UDP listener of one worker on a loop that the test drives, and its peers' sockets.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/udp/udp_listener.h"
#include "proxy/upstream/managed_cluster.h"
#include "proxy/upstream/shared_state.h"
#include "tests/unit/fixture/loop_driver.h"
#include "tests/unit/fixture/metrics.h"

namespace baton::fixture {

// A UDP socket of the test's own; never blocks.
class UdpPeer {
 public:
  explicit UdpPeer(const std::string& address = "127.0.0.1:0");

  const os::SocketAddress& address() const { return address_; }
  int fd() const { return fd_.get(); }
  void send_to(const os::SocketAddress& whom, std::string_view datagram);
  // Nothing: there is none. Remembers who sent it.
  std::optional<std::string> receive();
  void answer(std::string_view datagram) { send_to(last_, datagram); }
  const os::SocketAddress& last() const { return last_; }
  void close() { fd_.reset(); }

 private:
  os::UniqueFd fd_;
  os::SocketAddress address_;
  os::SocketAddress last_;
};

class UdpWorker {
 public:
  struct Options {
    std::vector<os::SocketAddress> endpoints;
    std::chrono::milliseconds idle_timeout{60'000};
    std::uint32_t max_connections = 0;
    std::string listen = "127.0.0.1:0";
    proxy::ClusterConfig cluster = {};
  };
  explicit UdpWorker(const Options& options);

  bool until(const std::function<bool()>& happened) { return run_until(loop, happened); }
  // What arrives there next; fails if nothing does.
  std::string received_by(UdpPeer& peer);
  bool is_empty() {
    return until([&] { return held.count() == 0; });
  }
  std::int64_t listener_metric(const std::string& name) const {
    return metric(*stats, "baton_listener_" + name + R"({listener="front"})");
  }
  std::int64_t cluster_metric(const std::string& name) const {
    return metric(*stats, "baton_upstream_" + name + R"({cluster="back"})");
  }
  std::int64_t dropped(const std::string& reason) const {
    return metric(*stats, R"(baton_udp_datagrams_dropped_total{listener="front",reason=")" +
                              reason + R"("})");
  }
  const os::SocketAddress& address() const { return listening.address(); }

  proxy::EventLoop loop;
  std::unique_ptr<proxy::StatsStore> stats;
  std::unique_ptr<proxy::StatsLane> lane;
  proxy::udp::DatagramBatch batch;
  proxy::ListenerConfig config;
  proxy::ListenerMetrics metrics;
  proxy::ClusterMetrics cluster_metrics;
  proxy::SharedState shared{*stats};
  proxy::ClusterConfig cluster_config;
  std::unique_ptr<proxy::ManagedCluster> managed;
  std::unique_ptr<proxy::Cluster> cluster;
  proxy::HeldConnections held;
  UdpPeer listening;
  std::unique_ptr<proxy::udp::UdpListener> listener;
};

}  // namespace baton::fixture
