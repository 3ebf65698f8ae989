#include "proxy/config/fd_budget.h"

namespace baton::proxy {
namespace {

constexpr std::uint64_t kFdsPerLoop = 4;  // epoll, its wake-up, and room for libev's timers

}  // namespace

FdBudget fd_budget(const Config& config) {
  FdBudget budget;
  for (const ListenerConfig& listener : config.listeners) {
    budget.listening += listener.address.is_unix() ? 1 : config.workers;
    // Its workers keep a copy of each, to send replies when the next generation has the socket.
    if (listener.protocol == Protocol::Udp) budget.listening += config.workers;
  }
  if (config.admin) ++budget.listening;
  for (const ClusterConfig& cluster : config.clusters) {
    // One for traffic, and one to check it: all may be checked at the same time.
    budget.upstream += cluster.endpoints.size() * (cluster.health_check ? 2 : 1);
  }
  budget.loops = (std::uint64_t{config.workers} + 1) * kFdsPerLoop;
  budget.reserve = kFdReserve;
  return budget;
}

std::optional<std::string> fd_shortage(const Config& config, std::uint64_t limit) {
  const FdBudget budget = fd_budget(config);
  if (budget.total() <= limit) return std::nullopt;
  return "needs at least " + std::to_string(budget.total()) + " open files (" +
         std::to_string(budget.listening) + " listening sockets, " +
         std::to_string(budget.upstream) + " connections to endpoints, " +
         std::to_string(budget.loops + budget.reserve) + " of its own), but the limit is " +
         std::to_string(limit) + "; raise it (ulimit -n, LimitNOFILE=) or configure less";
}

}  // namespace baton::proxy
