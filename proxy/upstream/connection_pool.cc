#include "proxy/upstream/connection_pool.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "proxy/network/coarse_clock.h"
#include "shared/os/check.h"

namespace baton::proxy {
namespace {

std::string_view key_of(const Endpoint& endpoint) {
  return {reinterpret_cast<const char*>(endpoint.address.data()), endpoint.address.length()};
}

}  // namespace

struct ConnectionPool::Idle final : UpstreamSocket::Reader {
  Idle(ConnectionPool& owner, std::unique_ptr<UpstreamSocket> parked)
      : pool(owner), socket(std::move(parked)), since(CoarseClock::now()) {
    socket->read_by(*this);
  }
  // Closed, or the endpoint says something out of turn: nothing can be asked on it any more.
  void on_readable(UpstreamSocket&) override { pool.remove(self); }

  ConnectionPool& pool;
  std::unique_ptr<UpstreamSocket> socket;
  CoarseClock::time_point since;
  Place self;
};

ConnectionPool::ConnectionPool(ev::loop_ref loop, const IdlePoolConfig& config)
    : loop_(loop), config_(config), timer_(loop) {
  timer_.set<ConnectionPool, &ConnectionPool::on_timer>(this);
}

ConnectionPool::~ConnectionPool() { close_all(); }

std::unique_ptr<UpstreamSocket> ConnectionPool::take(const Endpoint& endpoint) {
  const auto found = by_address_.find(key_of(endpoint));
  if (found == by_address_.end() || found->second.empty()) return nullptr;
  return remove(found->second.back());
}

void ConnectionPool::put(std::unique_ptr<UpstreamSocket> socket) {
  BATON_CHECK(socket != nullptr);
  if (config_.max_idle_connections == 0) return;
  if (idle_.size() >= config_.max_idle_connections) remove(idle_.begin());
  const std::string_view key = key_of(*socket->endpoint());
  auto found = by_address_.find(key);
  if (found == by_address_.end()) found = by_address_.try_emplace(std::string(key)).first;
  idle_.emplace_back(*this, std::move(socket));
  const Place self = std::prev(idle_.end());
  self->self = self;
  found->second.push_back(self);
  if (!timer_.is_active()) arm_timer();
}

std::unique_ptr<UpstreamSocket> ConnectionPool::remove(Place idle) {
  auto& same = by_address_.find(key_of(*idle->socket->endpoint()))->second;
  if (same.back() == idle) {
    same.pop_back();
  } else {
    same.erase(std::ranges::find(same, idle));
  }
  std::unique_ptr<UpstreamSocket> socket = std::move(idle->socket);
  idle_.erase(idle);
  return socket;
}

void ConnectionPool::close(const Endpoint& endpoint) {
  while (take(endpoint)) {
  }
}

void ConnectionPool::close_all() {
  while (!idle_.empty()) remove(idle_.begin());
}

std::vector<std::unique_ptr<UpstreamSocket>> ConnectionPool::take_all() {
  std::vector<std::unique_ptr<UpstreamSocket>> all;
  while (!idle_.empty()) all.push_back(remove(idle_.begin()));
  return all;
}

void ConnectionPool::on_timer(ev::timer&, int) noexcept {
  const auto now = CoarseClock::now();
  while (!idle_.empty() && idle_.front().since + config_.idle_timeout <= now) {
    remove(idle_.begin());
  }
  std::erase_if(by_address_, [](const auto& entry) { return entry.second.empty(); });
  arm_timer();
}

// One timer for all: the first in the list is the first to go.
void ConnectionPool::arm_timer() {
  timer_.stop();
  if (idle_.empty()) return;
  const auto left = idle_.front().since + config_.idle_timeout - CoarseClock::now();
  timer_.start(std::max(0.001, std::chrono::duration<double>(left).count()));
}

}  // namespace baton::proxy
