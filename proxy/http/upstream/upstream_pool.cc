#include "proxy/http/upstream/upstream_pool.h"

#include <algorithm>
#include <utility>

#include "proxy/upstream/cluster.h"

namespace baton::proxy::http {

UpstreamPool::UpstreamPool(const Options& options)
    : loop_(options.loop),
      scratch_(options.scratch),
      cluster_(options.cluster),
      config_(options.cluster.config().keepalive),
      timeouts_(options.timeouts),
      idle_timeouts_(timeouts_.of(config_.idle_timeout)),
      reaper_(options.loop) {
  reaper_.set<UpstreamPool, &UpstreamPool::reap>(this);
}

UpstreamPool::~UpstreamPool() {
  const auto disposer = [this](UpstreamConnection* connection) { dispose(connection); };
  close_idle();
  used_.clear_and_dispose(disposer);
  away_.clear_and_dispose(disposer);
  closed_.clear_and_dispose(disposer);
}

UpstreamConnection* UpstreamPool::take(const Endpoint& endpoint, CircuitGuard& circuit, Look look) {
  auto found = idle_.find(key_of(endpoint));
  while (look == Look::Yes && found != idle_.end() && !found->second.back().is_quiet()) {
    discard(found->second.back());
    found = idle_.find(key_of(endpoint));
  }
  if (found == idle_.end()) return nullptr;
  UpstreamConnection& connection = take_last(found);
  connection.circuit_ = std::exchange(circuit, CircuitGuard());
  used_.push_back(connection);
  return &connection;
}

// The one that was used last.
UpstreamConnection& UpstreamPool::take_last(Idle::iterator list) {
  UpstreamConnection& connection = list->second.back();
  list->second.pop_back();
  if (list->second.empty()) spare_ = idle_.extract(list);
  --idle_count_;
  connection.idle_order_.unlink();
  connection.idle_timeout_.disarm();
  return connection;
}

UpstreamConnection& UpstreamPool::add(os::UniqueFd socket, std::shared_ptr<const Endpoint> endpoint,
                                      CircuitGuard circuit) {
  auto* const connection = new UpstreamConnection(
      {.loop = loop_, .scratch = scratch_, .counters = cluster_.stats().bytes, .pool = *this},
      std::move(socket), std::move(endpoint), std::move(circuit));
  cluster_.stats().connections_total.add();
  cluster_.stats().connections_active.add();
  used_.push_back(*connection);
  return *connection;
}

bool UpstreamPool::full() const {
  return idle_count_ >= config_.max_idle_connections || cluster_.too_many_open();
}

void UpstreamPool::give_back(UpstreamConnection& connection) {
  const bool fits = config_.max_idle_connections > 0 && !cluster_.too_many_open();
  if (!connection.reusable() || connection.keep_.count() == 0 || !fits) return close(connection);
  // Not full(): other workers may have opened some since, and there may be none here to discard.
  if (idle_count_ >= config_.max_idle_connections) discard(order_.front());
  connection.begin_idle();
  connection.circuit_ = cluster_.acquire_idle();
  connection.resume();
  connection.unlink();
  make_idle(connection);
  idle_timeouts_of(connection).arm(connection.idle_timeout_);
}

TimeoutQueue& UpstreamPool::idle_timeouts_of(const UpstreamConnection& connection) {
  const bool is_usual = connection.keep_ >= config_.idle_timeout;
  return is_usual ? idle_timeouts_ : timeouts_.of(connection.keep_);
}

void UpstreamPool::make_idle(UpstreamConnection& connection) {
  list_of(*connection.endpoint()).push_back(connection);
  order_.push_back(connection);
  ++idle_count_;
}

// Where one connection goes to and fro this allocates nothing.
UpstreamPool::List& UpstreamPool::list_of(const Endpoint& endpoint) {
  const void* const key = key_of(endpoint);
  const auto found = idle_.find(key);
  if (found != idle_.end()) return found->second;
  if (spare_.empty()) return idle_[key];
  spare_.key() = key;
  return idle_.insert(std::move(spare_)).position->second;
}

void UpstreamPool::close(UpstreamConnection& connection) {
  connection.user_ = nullptr;
  connection.connection_.close();
  connection.circuit_ = {};
  connection.unlink();
  closed_.push_back(connection);
  if (!reaper_.is_active()) reaper_.start();
}

void UpstreamPool::discard(UpstreamConnection& idle) {
  --idle_count_;
  idle.idle_order_.unlink();
  idle.idle_timeout_.disarm();
  const void* const key = key_of(*idle.endpoint());
  close(idle);
  if (const auto list = idle_.find(key); list->second.empty()) idle_.erase(list);
}

void UpstreamPool::make_room() {
  if (cluster_.too_many_open() && !order_.empty()) discard(order_.front());
}

void UpstreamPool::close_idle() {
  for (auto& [endpoint, list] : idle_) {
    while (!list.empty()) {
      list.back().idle_order_.unlink();
      list.back().idle_timeout_.disarm();
      close(list.back());
    }
  }
  idle_.clear();
  idle_count_ = 0;
}

// The one that was used last comes first, as when requests take them: those beyond the limit of the
// other side are the oldest.
UpstreamConnection* UpstreamPool::take_out() {
  const auto any = idle_.begin();
  if (any == idle_.end()) return nullptr;
  UpstreamConnection& connection = take_last(any);
  const bool frozen = connection.connection_.freeze();
  BATON_CHECK(frozen);  // an idle one has sent everything
  away_.push_back(connection);
  return &connection;
}

void UpstreamPool::put_back(UpstreamConnection& connection) {
  connection.unlink();
  make_idle(connection);
  idle_timeouts_of(connection).arm(connection.idle_timeout_, connection.last_activity());
  connection.connection_.thaw();
}

// Frozen, so it is out of epoll, and no callback of it can be on the stack.
void UpstreamPool::has_moved(UpstreamConnection& connection) {
  connection.unlink();
  dispose(&connection);
}

std::unique_ptr<UpstreamConnection> UpstreamPool::restore(LegState leg,
                                                          const os::SocketAddress& endpoint,
                                                          std::uint32_t requests_served,
                                                          std::chrono::milliseconds keep) {
  auto member = cluster_.find(endpoint);
  if (!member || full()) return nullptr;
  auto connection = std::make_unique<UpstreamConnection>(
      UpstreamConnection::Options{
          .loop = loop_, .scratch = scratch_, .counters = cluster_.stats().bytes, .pool = *this},
      std::move(leg), std::move(member), requests_served);
  connection->keep_ = keep;
  return connection;
}

void UpstreamPool::admit_moved(std::unique_ptr<UpstreamConnection> connection) {
  if (full()) return connection->connection_.close();  // others have come since restore()
  cluster_.stats().connections_active.add();
  UpstreamConnection& idle = *connection.release();
  idle.circuit_ = cluster_.acquire_idle();
  away_.push_back(idle);
  put_back(idle);
}

void UpstreamPool::reap(ev::prepare&, int) {
  reaper_.stop();
  closed_.clear_and_dispose([this](UpstreamConnection* connection) { dispose(connection); });
}

// The one place where a connection to an endpoint dies.
void UpstreamPool::dispose(UpstreamConnection* connection) {
  delete connection;
  cluster_.stats().connections_active.sub();
}

}  // namespace baton::proxy::http
