#include "proxy/config/fd_budget.h"

#include <set>
#include <string_view>

#include "proxy/http/http_config.h"

namespace baton::proxy {
namespace {

// Standard streams, the supervisor's channel, configuration and region, the process before and the
// channel to it.
constexpr std::uint64_t kFdsOfProcess = 8;
constexpr std::uint64_t kFdsPerLoop = 4;  // epoll, its wake-up, its ring, and one to spare
constexpr std::uint64_t kFdsPerLog = 2;   // the file, and what wakes its thread

// Listeners may share one.
std::size_t access_logs(const Config& config) {
  std::set<std::string_view> paths;
  for (const ListenerConfig& listener : config.listeners) {
    if (listener.http && listener.http->access_log) paths.insert(listener.http->access_log->path);
  }
  return paths.size();
}

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
  budget.loops = kFdsOfProcess + (std::uint64_t{config.workers} + 1) * kFdsPerLoop;
  budget.logs = access_logs(config) * kFdsPerLog;
  budget.reserve = kFdReserve;
  return budget;
}

std::optional<std::string> fd_shortage(const Config& config, std::uint64_t limit) {
  const FdBudget budget = fd_budget(config);
  if (budget.total() <= limit) return std::nullopt;
  return "needs at least " + std::to_string(budget.total()) + " open files (" +
         std::to_string(budget.listening) + " listening sockets, " +
         std::to_string(budget.upstream) + " connections to endpoints, " +
         std::to_string(budget.loops + budget.logs + budget.reserve) +
         " of its own), but the limit is " + std::to_string(limit) +
         "; raise it (ulimit -n, LimitNOFILE=) or configure less";
}

}  // namespace baton::proxy
