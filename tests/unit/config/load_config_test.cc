#include "proxy/config/load_config.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

#include "proxy/config/config.h"

using namespace std::chrono_literals;
using baton::proxy::Config;
using baton::proxy::load_config;

namespace {

Config loaded(std::string_view toml) {
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
  const Config config = loaded(kMinimal);
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
  const Config config = loaded(R"(
[supervisor]
drain_time = "0"
drain_strategy = "immediate"
probation = "0"
start_timeout = "10s"
max_draining = 3

[proxy]
workers = 7
move_connections = false

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

TEST_CASE("an order of sections is as good as any other, and an unused cluster is fine") {
  const Config config = loaded(R"([[cluster]]
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
