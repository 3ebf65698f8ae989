#include "proxy/config/load_config.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

#include "proxy/config/config.h"

using namespace std::chrono_literals;
using baton::proxy::Config;
using baton::proxy::load_config;

namespace {

Config loaded_config(std::string_view toml) {
  auto config = load_config(toml, "f");
  if (!config) {
    for (const auto& error : config.error()) MESSAGE(error.text());
  }
  REQUIRE(config.has_value());
  return *std::move(config);
}

constexpr std::string_view kMinimal = R"([[listener]]
name = "db"
address = "127.0.0.1:5432"
protocol = "tcp"
cluster = "pg"
[[cluster]]
name = "pg"
endpoints = ["127.0.0.1:15432"]
)";

}  // namespace

TEST_CASE("what a file leaves out has its default") {
  const Config config = loaded_config(kMinimal);
  CHECK(config.workers >= 1);
  CHECK(config.workers <= 64);
  CHECK(config.move_connections);
  CHECK_FALSE(config.admin);
  REQUIRE(config.listeners.size() == 1);
  CHECK(config.listeners[0].name == "db");
  CHECK(config.listeners[0].address.text() == "127.0.0.1:5432");
  CHECK_FALSE(config.listeners[0].idle_timeout);
  CHECK(config.listeners[0].max_connections == 0);
  CHECK(config.listeners[0].backlog == 4096);
  CHECK(config.listeners[0].filters.size() == 1);
  REQUIRE(config.clusters.size() == 1);
  CHECK(config.clusters[0].name == "pg");
  CHECK(config.clusters[0].connect_timeout == 5s);
  REQUIRE(config.clusters[0].endpoints.size() == 1);
  CHECK(config.clusters[0].endpoints[0].weight == 1);
}

TEST_CASE("every key reaches the configuration") {
  const Config config = loaded_config(R"(
[supervisor]
drain_time = "0"
drain_strategy = "immediate"
probation = "0"
start_timeout = "10s"
max_draining = 3

[proxy]
workers = 7
move_connections = false
dns_servers = ["127.0.0.1:53", "[::1]:5353"]
warm_time = "2s"

[admin]
address = "[::1]:9901"

[[listener]]
name = "db.main_1-a"
address = "unix:/run//db.sock"
protocol = "tcp"
idle_timeout = "1h"
max_connections = 1000
backlog = 128
[[listener.filter]]
type = "tag"
sources = ["a"]
[[listener.filter]]
type = "tcp_proxy"
cluster = "pg"

[[cluster]]
name = "pg"
endpoints = ["127.0.0.1:1", { address = "unix:@up", weight = 3 }, "[::1]:2"]
lb_policy = "round_robin"
connect_timeout = "250ms"
)");
  CHECK(config.workers == 7);
  CHECK_FALSE(config.move_connections);
  REQUIRE(config.dns_servers.size() == 2);
  CHECK(config.dns_servers[1].text() == "[::1]:5353");
  CHECK(config.warm_time == 2s);
  CHECK(config.admin->text() == "[::1]:9901");
  REQUIRE(config.listeners.size() == 1);
  CHECK(config.listeners[0].address.text() == "unix:/run/db.sock");
  CHECK(config.listeners[0].idle_timeout == 1h);
  CHECK(config.listeners[0].max_connections == 1000);
  CHECK(config.listeners[0].backlog == 128);
  CHECK(config.listeners[0].filters.size() == 2);
  REQUIRE(config.clusters.size() == 1);
  CHECK(config.clusters[0].connect_timeout == 250ms);
  REQUIRE(config.clusters[0].endpoints.size() == 3);
  CHECK(config.clusters[0].endpoints[1].address.text() == "unix:@up");
  CHECK(config.clusters[0].endpoints[1].weight == 3);
}

TEST_CASE("a udp listener, beside a tcp listener on the same port") {
  const Config config = loaded_config(R"(
[[listener]]
name = "dns"
address = "[::]:53"
protocol = "udp"
cluster = "resolvers"
max_connections = 7
[[listener]]
name = "dns-tcp"
address = "[::]:53"
protocol = "tcp"
cluster = "resolvers"
[[listener]]
name = "game"
address = "0.0.0.0:27015"
protocol = "udp"
cluster = "resolvers"
idle_timeout = "5s"
[[cluster]]
name = "resolvers"
endpoints = ["127.0.0.1:53"]
)");
  REQUIRE(config.listeners.size() == 3);
  CHECK(config.listeners[0].protocol == baton::proxy::Protocol::Udp);
  CHECK(config.listeners[0].cluster == "resolvers");
  CHECK(config.listeners[0].idle_timeout == 60s);
  CHECK(config.listeners[0].max_connections == 7);
  CHECK(config.listeners[0].filters.empty());
  CHECK(config.listeners[1].protocol == baton::proxy::Protocol::Tcp);
  CHECK(config.listeners[2].idle_timeout == 5s);
}

TEST_CASE("every key of a cluster reaches the configuration") {
  const Config config = loaded_config(std::string(kMinimal) + R"([[cluster]]
name = "web"
endpoints = ["web.internal:80", { address = "srv:_http._tcp.internal", weight = 2 }]
endpoints_file = "/etc/web"
lb_policy = "maglev"
max_connections = 1
max_pending_requests = 2
max_requests = 3
max_retries = 4
panic_threshold = 50
slow_start = "10s"
[cluster.health_check]
type = "http"
path = "/up"
host = "web"
expected_status = 204
interval = "1s"
timeout = "2s"
healthy_threshold = 5
unhealthy_threshold = 6
[cluster.outlier_detection]
consecutive_5xx = 7
consecutive_connect_failures = 8
base_ejection_time = "9s"
max_ejection_time = "10s"
max_ejection_percent = 11
[cluster.keepalive]
max_idle_connections = 12
idle_timeout = "13s"
)");
  using namespace baton::proxy;
  const ClusterConfig& cluster = config.clusters[1];
  REQUIRE(cluster.endpoints.size() == 2);
  CHECK(cluster.endpoints[0].kind == EndpointKind::Host);
  CHECK(cluster.endpoints[0].host == "web.internal");
  CHECK(cluster.endpoints[0].port == 80);
  CHECK(cluster.endpoints[1].kind == EndpointKind::Service);
  CHECK(cluster.endpoints[1].host == "_http._tcp.internal");
  CHECK(cluster.endpoints[1].weight == 2);
  CHECK(cluster.endpoints_file == "/etc/web");
  CHECK(cluster.lb_policy == LbPolicy::Maglev);
  CHECK(cluster.limits.connections == 1);
  CHECK(cluster.limits.pending_requests == 2);
  CHECK(cluster.limits.requests == 3);
  CHECK(cluster.limits.retries == 4);
  CHECK(cluster.panic_threshold == 50);
  CHECK(cluster.slow_start == 10s);
  REQUIRE(cluster.health_check);
  CHECK(cluster.health_check->type == HealthCheckConfig::Type::Http);
  CHECK(cluster.health_check->path == "/up");
  CHECK(cluster.health_check->host == "web");
  CHECK(cluster.health_check->expected_status == 204);
  CHECK(cluster.health_check->interval == 1s);
  CHECK(cluster.health_check->timeout == 2s);
  CHECK(cluster.health_check->healthy_threshold == 5);
  CHECK(cluster.health_check->unhealthy_threshold == 6);
  REQUIRE(cluster.outlier_detection);
  CHECK(cluster.outlier_detection->consecutive_5xx == 7);
  CHECK(cluster.outlier_detection->consecutive_connect_failures == 8);
  CHECK(cluster.outlier_detection->base_ejection_time == 9s);
  CHECK(cluster.outlier_detection->max_ejection_time == 10s);
  CHECK(cluster.outlier_detection->max_ejection_percent == 11);
  CHECK(cluster.keepalive.max_idle_connections == 12);
  CHECK(cluster.keepalive.idle_timeout == 13s);
}

TEST_CASE("an order of sections is as good as any other, and an unused cluster is fine") {
  const Config config = loaded_config(R"([[cluster]]
name = "unused"
endpoints = ["127.0.0.1:1"]
[[listener]]
name = "a"
address = "127.0.0.1:1"
protocol = "tcp"
[[listener.filter]]
type = "direct_response"
body = ""
[[listener]]
name = "b"
address = "[::]:1"
protocol = "tcp"
cluster = "late"
[[cluster]]
name = "late"
endpoints = ["127.0.0.1:2"]
)");
  CHECK(config.listeners.size() == 2);
  CHECK(config.clusters.size() == 2);
}

TEST_CASE("the built-in configuration is a good one") {
  const auto config =
      load_config(baton::proxy::built_in_config(), std::string(baton::proxy::kBuiltInConfigName));
  REQUIRE(config.has_value());
  CHECK(config->admin->text() == "127.0.0.1:9901");
  REQUIRE(config->listeners.size() == 1);
  CHECK(config->listeners[0].name == "hello");
  CHECK(config->listeners[0].address.text() == "127.0.0.1:8080");
}
