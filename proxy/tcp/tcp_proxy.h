// Terminal filter: carries bytes between the client and an endpoint of a cluster.
//
//            on_new_connection          connected              both directions ended
//   (idle) ───────────────► connecting ───────────► tunnel ───────────────────────► closed (Now)
//      │ too many connections   │ no endpoint left      │ reset of either leg
//                             ▼                       ▼
//                          closed (Now)            closed (Reset), passed on to the other leg
//
// While connecting the client is not read: the kernel keeps what it sends. An end of stream in one
// direction follows the bytes before it; the other direction lives on.
//
// A tunnel that has come from another process stays its own cluster's, wherever connections of the
// listener lead now. One whose cluster has left the configuration is counted in none, and keeps
// the name, should a later configuration have it again.
//
// Thread: its worker's. Owns: the upstream connection's watchers; its state is in TunnelState.
// Borrows: clusters, callbacks.
#pragma once

#include <memory>
#include <string>

#include "proxy/filter/network_filter.h"
#include "proxy/network/connection.h"
#include "proxy/upstream/cluster_set.h"
#include "proxy/upstream/connector.h"
#include "proxy/upstream/endpoint_use.h"

namespace baton::proxy {

class TcpProxy final : public NetworkFilter, private ConnectionSink, private Connector::Sink {
 public:
  // `cluster` may be null for one that will restore().
  TcpProxy(NetworkFilterCallbacks& callbacks, const ClusterSet& clusters, Cluster* cluster);
  ~TcpProxy() override;

  // Instead of on_new_connection(): a connection to an endpoint that is there already, and has its
  // place among the cluster's.
  void adopt(LegState upstream, std::shared_ptr<const Endpoint> endpoint, CircuitGuard circuit);

  // Of one adopted: a send on it had failed before. What the endpoint has said arrives, then it
  // ends.
  void end_failed() { on_write_failed(0); }

  // Where it leads.
  const std::string& cluster_name() const;

  FilterStatus on_new_connection() override;
  FilterStatus on_data(Buffer& data, EndOfStream end) override;
  void on_downstream_full() override;
  void on_downstream_drained() override;
  void on_close(CloseMode mode, CloseCause cause) override;
  bool freeze() override;
  void thaw() override;
  MoveDetails move_details() const override;
  bool restore(const MoveDetails& details) override;

 private:
  // Connector::Sink
  void on_connected(os::UniqueFd socket, std::shared_ptr<const Endpoint> endpoint) override;
  void on_exhausted() override;
  // ConnectionSink, of the upstream
  void on_received(Buffer& data, EndOfStream end) override;
  void on_failed() override;
  void on_write_failed(int error) override;
  void on_flushed() override;

  void keep(Buffer& data, EndOfStream end);
  void close_if_ended();
  void join(const std::string& cluster);

  NetworkFilterCallbacks& callbacks_;
  const ClusterSet& clusters_;
  Cluster* cluster_;                                 // null: it has left the configuration, and was
  std::unique_ptr<const std::string> lost_cluster_;  // this one
  Connection upstream_;
  std::unique_ptr<Connector> connector_;  // while connecting
  CircuitGuard circuit_;
  EndpointUse use_;
};

class TcpProxyFactory final : public NetworkFilterFactory {
 public:
  explicit TcpProxyFactory(std::string cluster) : cluster_(std::move(cluster)) {}
  MakeNetworkFilter bind(const FilterContext& context) const override;

 private:
  std::string cluster_;
};

}  // namespace baton::proxy
