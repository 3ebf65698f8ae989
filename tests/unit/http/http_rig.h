// An HTTP listener with one upstream, a client that writes raw bytes, and a server that the test
// plays byte by byte.
#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/http/connection_manager/connection_manager.h"
#include "tests/unit/fixture/single_worker.h"

namespace baton::fixture {

// One route for everything.
inline proxy::http::HttpConfig routed(decltype(proxy::http::Route::action) action) {
  proxy::http::Route route;
  route.action = std::move(action);
  std::vector<proxy::http::Route> routes;
  routes.push_back(std::move(route));
  return {.routes = std::make_shared<const proxy::http::RouteTable>(std::move(routes))};
}
inline proxy::http::HttpConfig forwarded(proxy::http::ForwardAction action) {
  action.clusters = {{.name = "back"}};
  return routed(std::move(action));
}

inline const std::string kGet = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

// Without the lines that a response gets that has no Date.
inline std::string undated(std::string_view text) {
  constexpr std::string_view kLine = "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
  const std::string_view name = kLine.substr(0, 6);
  std::string rest(text);
  for (auto at = rest.find(name); at != std::string::npos; at = rest.find(name, at)) {
    rest.erase(at, kLine.size());
  }
  return rest;
}

struct HttpRig {
  using Config = proxy::http::HttpConfig;

  explicit HttpRig(Config config = {}, proxy::ClusterConfig cluster = {}, int upstreams = 1) {
    for (int i = 0; i < upstreams; ++i) servers.push_back(listen_on("127.0.0.1:0"));
    if (!config.routes) config.routes = proxy::http::RouteTable::to_cluster("back");
    SingleWorker::Options options;
    options.idle_timeout = config.timeouts.keep_alive;
    for (const ListeningSocket& each : servers) {
      options.endpoints.push_back({.address = each.address});
    }
    options.cluster = std::move(cluster);
    options.terminal = std::make_shared<proxy::http::ConnectionManagerFactory>(
        std::make_shared<const Config>(std::move(config)));
    worker = std::make_unique<SingleWorker>(options);
    client = worker->connect();
  }

  // Sends all of it; false: the proxy does not take it.
  bool send(TestPeer& peer, std::string_view bytes) {
    return worker->until([&] {
      if (!bytes.empty()) bytes.remove_prefix(peer.write(bytes));
      return bytes.empty();
    });
  }
  bool send(std::string_view bytes) { return send(client, bytes); }
  // The server's end of the next connection to it.
  TestPeer accept(std::size_t server = 0) { return worker->accept(servers[server]); }
  // The server's end of a new connection, on which this request's head has come.
  TestPeer ask(std::string_view request = kGet, std::size_t server = 0) {
    REQUIRE(send(request));
    TestPeer peer = accept(server);
    REQUIRE(contains(peer, "\r\n\r\n"));
    return peer;
  }
  // Reads until `peer` has received exactly these bytes, all in all, but for the Date of responses.
  bool has(TestPeer& peer, std::string_view bytes) {
    const std::string expected = undated(bytes);
    worker->until([&] {
      peer.read();
      return undated(peer.received()).size() >= expected.size() || peer.state() != Peer::Open;
    });
    INFO("received: ", peer.received());
    CHECK(undated(peer.received()) == expected);
    return undated(peer.received()) == expected;
  }
  bool contains(TestPeer& peer, std::string_view part) {
    return worker->until([&] {
      peer.read();
      return peer.received().find(part) != std::string::npos;
    });
  }
  bool starts_with(TestPeer& peer, std::string_view part) {
    return contains(peer, part) && peer.received().starts_with(part);
  }
  std::int64_t http_metric(const std::string& name) {
    return metric(*worker->stats, "baton_http_" + name + R"({listener="front"})");
  }
  // One exchange on a connection to the server that is there already.
  bool exchange(TestPeer& server) {
    const std::string before = client.received();
    const std::string seen = server.received();
    return send(kGet) && worker->until([&] {
      server.read();
      return std::string_view(server.received()).substr(seen.size()).ends_with("\r\n\r\n");
    }) && send(server, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") &&
           has(client, before + "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
  }

  std::vector<ListeningSocket> servers;
  std::unique_ptr<SingleWorker> worker;
  TestPeer client;
};

// What the proxy adds to each request.
inline const std::string kForwarded =
    "x-forwarded-for: 127.0.0.1\r\nx-forwarded-proto: http\r\nx-forwarded-host: a\r\n";

}  // namespace baton::fixture
