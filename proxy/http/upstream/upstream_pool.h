// The connections of one worker to one cluster that wait for the next request.
//
//   add() ─► a request's ── give_back() ─► idle ── take() ─► a request's
//              └─ close()                   └─ closed by the endpoint, input nobody asked for,
//                                              idle timeout, limit ─► closed
//
// An idle connection has no place among the cluster's max_connections: a request on another worker,
// which cannot use it, must not be refused for its sake.
// The one that was used last is taken first, so that those beyond the need grow old and go; where
// there are too many, the one that was used longest ago, to whichever endpoint, goes at once.
//
// Thread: its worker's. Owns: every connection that it has handed out, too, until it is closed.
#pragma once

#include <boost/intrusive/list.hpp>
#include <ev++.h>

#include <cstddef>
#include <memory>
#include <unordered_map>

#include "proxy/config/config.h"
#include "proxy/http/upstream/upstream_connection.h"

namespace baton::proxy {
class Cluster;  // proxy/upstream/cluster.h
}

namespace baton::proxy::http {

class UpstreamPool {
 public:
  struct Options {
    ev::loop_ref loop;
    Buffer& scratch;
    TimeoutQueues& timeouts;
    Cluster& cluster;
  };

  explicit UpstreamPool(const Options& options);
  ~UpstreamPool();
  UpstreamPool(const UpstreamPool&) = delete;
  UpstreamPool& operator=(const UpstreamPool&) = delete;

  Cluster& cluster() { return cluster_; }

  // An idle one to this endpoint, which takes the guard; null: there is none. For a request that
  // cannot be sent again it is looked at first: the loop may not have told yet that it has ended.
  enum class Look : bool { No, Yes };
  UpstreamConnection* take(const Endpoint& endpoint, CircuitGuard& circuit, Look look);
  // A new one, which is a request's at once.
  UpstreamConnection& add(os::UniqueFd socket, std::shared_ptr<const Endpoint> endpoint,
                          CircuitGuard circuit);
  // The request on it has ended. Kept if it can be, else closed.
  void give_back(UpstreamConnection& connection);
  // It is destroyed when no callback of it can be on the stack any more.
  void close(UpstreamConnection& connection);

  // Before a connection is made: closes one that is idle if the cluster has more than it may. What
  // other workers keep idle they close themselves, when it has been used next: until then there can
  // be as many too many.
  void make_room();

  std::size_t idle() const { return idle_count_; }

  // An idle one on its way to another process, frozen; null: there is none. It is idle again here
  // by put_back(), or gone by has_moved(), which closes this process's copy of the socket and
  // nothing else.
  UpstreamConnection* take_out();
  void put_back(UpstreamConnection& connection);
  void has_moved(UpstreamConnection& connection);
  // One from another process, frozen and the caller's until it is idle here by admit_moved(). Null:
  // its endpoint has left the cluster, or there are enough.
  std::unique_ptr<UpstreamConnection> restore(LegState leg, const os::SocketAddress& endpoint,
                                              std::uint32_t requests_served,
                                              std::chrono::milliseconds keep);
  void admit_moved(std::unique_ptr<UpstreamConnection> connection);

 private:
  friend class UpstreamConnection;
  using List =
      boost::intrusive::list<UpstreamConnection, boost::intrusive::constant_time_size<false>>;
  using Idle = std::unordered_map<const void*, List>;
  using Order = boost::intrusive::list<
      UpstreamConnection,
      boost::intrusive::member_hook<UpstreamConnection, decltype(UpstreamConnection::idle_order_),
                                    &UpstreamConnection::idle_order_>,
      boost::intrusive::constant_time_size<false>>;

  // An endpoint is the same one in each snapshot of the members that names its address.
  static const void* key_of(const Endpoint& endpoint) {
    return endpoint.state ? static_cast<const void*>(endpoint.state.get()) : &endpoint;
  }
  void close_idle();
  List& list_of(const Endpoint& endpoint);
  UpstreamConnection& take_last(Idle::iterator list);
  bool full() const;
  void make_idle(UpstreamConnection& connection);
  TimeoutQueue& idle_timeouts_of(const UpstreamConnection& connection);
  void discard(UpstreamConnection& idle);
  void reap(ev::prepare& watcher, int events);
  void dispose(UpstreamConnection* connection);

  ev::loop_ref loop_;
  Buffer& scratch_;
  Cluster& cluster_;
  const IdlePoolConfig& config_;
  TimeoutQueues& timeouts_;
  TimeoutQueue& idle_timeouts_;  // of those whose endpoint has not said less
  // By key_of(); none is empty, so nothing is left of endpoints that have gone. The last used one
  // is the last.
  Idle idle_;
  Idle::node_type spare_;
  Order order_;  // the one that was used last is the last
  List used_;
  List away_;  // perhaps another process's
  List closed_;
  std::size_t idle_count_ = 0;
  ev::prepare reaper_;
};

}  // namespace baton::proxy::http
