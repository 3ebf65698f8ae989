#include "proxy/config/fd_budget.h"

#include <doctest/doctest.h>

#include <memory>

#include "proxy/http/http_config.h"

using baton::os::SocketAddress;
using namespace baton::proxy;

namespace {

Config small_config() {
  Config config;
  config.workers = 4;
  config.admin = SocketAddress::parse("127.0.0.1:9901").value();
  config.listeners.resize(2);
  config.listeners[0].address = SocketAddress::parse("127.0.0.1:80").value();
  config.listeners[1].address = SocketAddress::parse("unix:/run/x").value();
  config.clusters.resize(1);
  config.clusters[0].endpoints.resize(10);
  return config;
}

}  // namespace

TEST_CASE(
    "fd budget: one socket a worker and address, but one in all for a unix socket and admin") {
  const FdBudget budget = fd_budget(small_config());
  CHECK(budget.listening == 4 + 1 + 1);
  CHECK(budget.upstream == 10);
  CHECK(budget.total() == 6 + 10 + 8 + 5 * 4 + 64);
}

TEST_CASE("fd budget: a udp listener's workers keep a copy of each socket") {
  Config config = small_config();
  config.listeners[0].protocol = Protocol::Udp;
  CHECK(fd_budget(config).listening == 2 * 4 + 1 + 1);
}

TEST_CASE("fd budget: each access log has two, whoever shares it") {
  Config config = small_config();
  const std::uint64_t before = fd_budget(config).total();
  for (const char* path : {"/log/a", "/log/b", "/log/a"}) {
    auto http = std::make_shared<http::HttpConfig>();
    http->access_log.emplace();
    http->access_log->path = path;
    config.listeners.emplace_back().address = SocketAddress::parse("unix:/run/y").value();
    config.listeners.back().http = std::move(http);
  }
  CHECK(fd_budget(config).total() == before + 3 + 2 * 2);
}

TEST_CASE("fd budget: a limit that suffices is no shortage, one less is, and says both figures") {
  const Config config = small_config();
  CHECK_FALSE(fd_shortage(config, 108));
  CHECK(
      fd_shortage(config, 107) ==
      "needs at least 108 open files (6 listening sockets, 10 connections to endpoints, 92 of its "
      "own), but the limit is 107; raise it (ulimit -n, LimitNOFILE=) or configure less");
}
