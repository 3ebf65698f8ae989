#include "proxy/filter/ip_filter/ip_filter.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "proxy/config/config.h"
#include "proxy/config/load_config.h"
#include "proxy/filter/filter_chain.h"
#include "proxy/network/tunnel_state.h"
#include "proxy/stats/stats_store.h"
#include "proxy/upstream/cluster_set.h"
#include "proxy/worker/event_loop.h"

using namespace baton;
using namespace baton::proxy;

namespace {

// A client's connection, reduced to where it comes from and how it was closed.
struct FakeHost final : FilterChainHost {
  const os::SocketAddress& remote_address() const override { return state.client; }
  os::SocketAddress local_address() const override { return {}; }
  ev::loop_ref loop() const override { return const_cast<EventLoop&>(event_loop).ref(); }
  TunnelState& tunnel() override { return state; }
  Buffer& scratch() override { return scratch_buffer; }
  bool may_move() const override { return true; }
  bool board() override { return false; }
  void send_downstream(std::string_view) override {}
  void send_downstream(Buffer& data, EndOfStream) override { data.clear(); }
  bool downstream_full() const override { return false; }
  void pause_reading() override {}
  void resume_reading() override {}
  void pause_for_hold() override {}
  void resume_after_hold() override {}
  void close(CloseMode mode) override { closed.push_back(mode); }

  EventLoop event_loop;
  TunnelState state;
  Buffer scratch_buffer;
  std::vector<CloseMode> closed;
};

// What stands behind the ip_filter: it would make the upstream connection.
struct TerminalProbe final : NetworkFilter {
  explicit TerminalProbe(int& started_connections) : started(started_connections) {}
  FilterStatus on_new_connection() override {
    ++started;
    return FilterStatus::Continue;
  }
  bool freeze() override { return true; }
  int& started;
};

class Fixture {
 public:
  Fixture() {
    rules.allow.push_back(IpRange::parse("10.0.0.0/8").value());
    listener.name = "db";
    factory = std::make_unique<IpFilterFactory>(rules);
    filters.push_back(factory->bind({.generation = 1,
                                     .version = version,
                                     .listener = listener,
                                     .stats = *store,
                                     .lane = *lane,
                                     .clusters = clusters}));
    filters.push_back([this](NetworkFilterCallbacks&) {
      return std::make_unique<TerminalProbe>(reached_terminal);
    });
  }

  // How the connection was closed; empty: it was not.
  std::vector<CloseMode> connect_from(std::string_view address) {
    FakeHost host;
    host.state.client = os::SocketAddress::parse(address).value();
    FilterChain chain(host, filters);
    chain.start();
    if (host.closed.empty()) CHECK(chain.freeze());
    return host.closed;
  }

  IpRules rules;
  ListenerConfig listener;
  const std::string version = "1";
  std::unique_ptr<StatsStore> store = std::move(*StatsStore::open({}, 0));
  std::unique_ptr<StatsLane> lane = store->claim_lane();
  ClusterSet clusters;
  std::unique_ptr<IpFilterFactory> factory;
  std::vector<MakeNetworkFilter> filters;
  int reached_terminal = 0;
};

std::string mistakes(std::string_view filter_keys) {
  const auto config = load_config(R"([[listener]]
name = "db"
address = "127.0.0.1:1"
protocol = "tcp"
[[listener.filter]]
type = "ip_filter"
)" + std::string(filter_keys) + R"(
[[listener.filter]]
type = "direct_response"
body = ""
)",
                                  "f");
  std::string lines;
  if (config) return lines;
  for (const ConfigError& error : config.error()) lines += error.text() + "\n";
  return lines;
}

}  // namespace

TEST_CASE("ip filter: an admitted client reaches the next filter, and the connection can move") {
  Fixture fixture;
  CHECK(fixture.connect_from("10.1.2.3:5").empty());
  CHECK(fixture.reached_terminal == 1);
  CHECK(fixture.store->prometheus_text().find(
            "baton_ip_filter_refused_total{listener=\"db\"} 0\n") != std::string::npos);
}

TEST_CASE("ip filter: a refused client is closed and counted, and no other filter hears of it") {
  Fixture fixture;
  CHECK(fixture.connect_from("192.0.2.1:5") == std::vector{CloseMode::Now});
  CHECK(fixture.connect_from("unix:@x") == std::vector{CloseMode::Now});
  CHECK(fixture.reached_terminal == 0);
  CHECK(fixture.store->prometheus_text().find(
            "baton_ip_filter_refused_total{listener=\"db\"} 2\n") != std::string::npos);
}

TEST_CASE("ip filter: its mistakes have their place") {
  const std::string key = R"(listener "db": filter "ip_filter": )";
  const std::string allowed = R"(; allowed: "10.0.0.0/8", "192.0.2.1", "2001:db8::/32", "::1")";
  CHECK(mistakes("allow = [\"10.0.0.0/8\", \"::1\"]\ndeny = [\"10.9.0.0/16\"]") == "");
  CHECK(mistakes("") ==
        "f:5:1: " + key + "allow: is missing, and so is deny; allowed: either or both\n");
  CHECK(mistakes("deny = []") == "f:7:8: " + key + "deny: is empty" + allowed + "\n");
  CHECK(mistakes("allow = [\"::1\",\n  \"10.0.0.1/8\"]") ==
        "f:8:3: " + key + R"(allow: "10.0.0.1/8" has bits beyond its prefix; )" +
            R"(did you mean "10.0.0.0/8"?)" + allowed + "\n");
  CHECK(mistakes("alow = [\"::1\"]") ==
        "f:5:1: " + key + "allow: is missing, and so is deny; allowed: either or both\nf:7:1: " +
            key + "alow: unknown key; did you mean \"allow\"?\n");
}
