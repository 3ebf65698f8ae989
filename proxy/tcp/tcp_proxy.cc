#include "proxy/tcp/tcp_proxy.h"

#include <cerrno>
#include <optional>
#include <utility>

#include "proxy/filter/proxy_protocol/proxy_header_writer.h"
#include "proxy/upstream/hash_key.h"
#include "shared/os/check.h"

namespace baton::proxy {
namespace {

// For what belongs to no cluster: written by all workers, read by nobody, and in nobody's cache
// line.
const ByteCounters& uncounted() {
  alignas(64) static region::Cell cell{0};
  static const ByteCounters counters{.received = region::Counter(&cell),
                                     .sent = region::Counter(&cell)};
  return counters;
}

// One that has moved here brings it.
UpstreamLeg& upstream_leg(TunnelState& tunnel) {
  if (!tunnel.upstream) tunnel.upstream = std::make_unique<UpstreamLeg>();
  return *tunnel.upstream;
}

}  // namespace

TcpProxy::TcpProxy(NetworkFilterCallbacks& callbacks, const ClusterSet& clusters, Cluster* cluster)
    : callbacks_(callbacks),
      clusters_(clusters),
      cluster_(cluster),
      upstream_(callbacks.loop(), upstream_leg(callbacks.tunnel()), callbacks.scratch(),
                cluster != nullptr ? cluster->stats().bytes : uncounted(), *this) {}

TcpProxy::~TcpProxy() {
  if (cluster_ != nullptr && callbacks_.tunnel().upstream->endpoint) {
    cluster_->stats().connections_active.sub();
  }
}

const std::string& TcpProxy::cluster_name() const {
  return cluster_ != nullptr ? cluster_->name() : *lost_cluster_;
}

FilterStatus TcpProxy::on_new_connection() {
  circuit_ = cluster_->try_acquire(Circuit::Connections);
  if (!circuit_) {
    callbacks_.close(CloseMode::Now);
    return FilterStatus::Continue;
  }
  callbacks_.pause_reading();
  connector_ = std::make_unique<Connector>(callbacks_.loop(), *cluster_,
                                           static_cast<Connector::Sink&>(*this));
  connector_->start(cluster_->needs_hash()
                        ? std::optional(hash_of_client(callbacks_.tunnel().client))
                        : std::nullopt);
  return FilterStatus::Continue;
}

void TcpProxy::adopt(LegState upstream, std::shared_ptr<const Endpoint> endpoint,
                     CircuitGuard circuit) {
  TunnelState& tunnel = callbacks_.tunnel();
  static_cast<LegState&>(*tunnel.upstream) = std::move(upstream);
  tunnel.upstream->endpoint = std::move(endpoint);
  use_ = EndpointUse(*tunnel.upstream->endpoint);
  circuit_ = std::move(circuit);
  cluster_->stats().connections_active.add();
  upstream_.start();
}

void TcpProxy::on_connected(os::UniqueFd socket, std::shared_ptr<const Endpoint> endpoint) {
  TunnelState& tunnel = callbacks_.tunnel();
  tunnel.upstream->fd = std::move(socket);
  tunnel.upstream->endpoint = std::move(endpoint);
  use_ = EndpointUse(*tunnel.upstream->endpoint);
  cluster_->stats().connections_total.add();
  cluster_->stats().connections_active.add();
  connector_.reset();
  Buffer first;
  if (cluster_->config().send_proxy_protocol) {
    write_proxy_v2(first, tunnel.client, callbacks_.local_address());
  }
  first.append(tunnel.upstream->unsent.view());
  tunnel.upstream->unsent.release();
  const bool ended = std::exchange(tunnel.upstream->end_queued, false);
  upstream_.start();
  callbacks_.resume_reading();
  if (first.empty() && !ended) return;
  const auto result = upstream_.write(first, ended ? EndOfStream::Yes : EndOfStream::No);
  if (result == WriteStatus::Failed) return on_write_failed(errno);
  if (upstream_.full()) callbacks_.pause_reading();
}

void TcpProxy::on_exhausted() { callbacks_.close(CloseMode::Now); }

// The client is not read while there is no connection; a filter ahead may have had something still.
void TcpProxy::keep(Buffer& data, EndOfStream end) {
  LegState& upstream = *callbacks_.tunnel().upstream;
  upstream.unsent.append(data.view());
  data.clear();
  if (end == EndOfStream::Yes) upstream.end_queued = true;
}

FilterStatus TcpProxy::on_data(Buffer& data, EndOfStream end) {
  if (connector_) {
    keep(data, end);
    return FilterStatus::Continue;
  }
  const TunnelState& tunnel = callbacks_.tunnel();
  if (end == EndOfStream::Yes && data.empty() && upstream_.all_sent() &&
      tunnel.upstream->read_ended && tunnel.downstream.ended()) {
    // The last of the four ends: closing the sockets says the same with one system call less.
    callbacks_.close(CloseMode::Now);
    return FilterStatus::Continue;
  }
  if (upstream_.write(data, end) == WriteStatus::Failed) {
    on_write_failed(errno);
    return FilterStatus::Continue;
  }
  if (upstream_.full()) callbacks_.pause_reading();
  if (end == EndOfStream::Yes) close_if_ended();
  return FilterStatus::Continue;
}

void TcpProxy::on_received(Buffer& data, EndOfStream end) {
  callbacks_.write(data, end);
  if (end == EndOfStream::Yes) close_if_ended();
}

void TcpProxy::on_flushed() {
  callbacks_.resume_reading();
  close_if_ended();
}

// A server may answer in full and close while the client still talks: that answer arrives.
void TcpProxy::on_failed() {
  const bool answered = callbacks_.tunnel().upstream->read_ended;
  callbacks_.close(answered ? CloseMode::Linger : CloseMode::Reset);
}

void TcpProxy::on_write_failed(int error) {
  upstream_.deliver_rest(error);
  on_failed();
}

void TcpProxy::on_downstream_full() { upstream_.pause(PauseReason::Filter); }

void TcpProxy::on_downstream_drained() {
  upstream_.resume(PauseReason::Filter);
  close_if_ended();
}

void TcpProxy::close_if_ended() {
  const TunnelState& tunnel = callbacks_.tunnel();
  if (tunnel.upstream->ended() && tunnel.downstream.ended()) callbacks_.close(CloseMode::Now);
}

void TcpProxy::on_close(CloseMode mode, CloseCause) {
  // The connector may be the caller: it is stopped by its destructor, with this filter.
  mode == CloseMode::Reset ? upstream_.reset() : upstream_.close();
}

bool TcpProxy::freeze() { return !connector_ && upstream_.started() && upstream_.freeze(); }

void TcpProxy::thaw() { upstream_.thaw(); }

MoveDetails TcpProxy::move_details() const {
  return {.kind = MoveKind::TcpTunnel,
          .cluster = cluster_name(),
          .endpoint = callbacks_.tunnel().upstream->endpoint->address};
}

void TcpProxy::join(const std::string& cluster) {
  cluster_ = clusters_.find(cluster);
  if (cluster_ == nullptr) {
    lost_cluster_ = std::make_unique<const std::string>(cluster);
    return upstream_.count_in(uncounted());
  }
  upstream_.count_in(cluster_->stats().bytes);
  circuit_ = cluster_->acquire(Circuit::Connections);
  cluster_->stats().connections_active.add();
}

// An endpoint that has left its cluster keeps its tunnels.
bool TcpProxy::restore(const MoveDetails& details) {
  TunnelState& tunnel = callbacks_.tunnel();
  if (!tunnel.upstream->fd.valid()) return false;
  join(details.cluster);
  if (cluster_ != nullptr) tunnel.upstream->endpoint = cluster_->find(details.endpoint);
  if (!tunnel.upstream->endpoint) {
    tunnel.upstream->endpoint =
        std::make_shared<const Endpoint>(Endpoint{.address = details.endpoint});
  }
  use_ = EndpointUse(*tunnel.upstream->endpoint);
  upstream_.restore();
  if (upstream_.full()) callbacks_.pause_reading();
  if (!tunnel.downstream.unsent.empty()) upstream_.pause(PauseReason::Filter);
  return true;
}

MakeNetworkFilter TcpProxyFactory::bind(const FilterContext& context) const {
  Cluster* const cluster = context.clusters.find(cluster_);
  BATON_CHECK(cluster != nullptr);  // load_config() resolves every reference
  return [cluster, &clusters = context.clusters](NetworkFilterCallbacks& callbacks) {
    return std::make_unique<TcpProxy>(callbacks, clusters, cluster);
  };
}

}  // namespace baton::proxy
