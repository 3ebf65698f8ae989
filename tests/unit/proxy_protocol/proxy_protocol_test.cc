#include "proxy/filter/proxy_protocol/proxy_protocol.h"

#include <doctest/doctest.h>

#include "proxy/config/load_config.h"
#include "proxy/filter/ip_filter/ip_filter.h"
#include "proxy/filter/proxy_protocol/proxy_header_parser.h"
#include "tests/unit/fixture/single_worker.h"

using namespace baton;
using namespace baton::fixture;
using namespace std::chrono_literals;
using namespace std::string_literals;

namespace {

const std::string kHeader = "PROXY TCP4 192.0.2.1 198.51.100.2 4660 443\r\n";

// A listener with the filter in front of a tunnel.
struct Proxied {
  explicit Proxied(const proxy::ProxyProtocolConfig& config = {},
                   std::shared_ptr<const proxy::NetworkFilterFactory> behind = nullptr)
      : upstream(listen_on("127.0.0.1:0")) {
    SingleWorker::Options options;
    options.endpoints = {{.address = upstream.address}};
    options.filters = {std::make_shared<proxy::ProxyProtocolFactory>(config)};
    if (behind) options.filters.push_back(std::move(behind));
    worker = std::make_unique<SingleWorker>(options);
    client = worker->connect();
  }

  // What the upstream gets when the client has sent all this.
  std::string passes(std::string_view bytes, std::size_t expected) {
    send(bytes);
    server = worker->accept(upstream);
    CHECK(worker->receives(server, expected));
    return server.received();
  }
  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      bytes.remove_prefix(client.write(bytes));
      settle(worker->loop);
    }
  }
  std::string address() { return worker->only_session().state().client.text(); }
  bool upstream_called() { return accept_from(upstream).valid(); }
  std::int64_t rejected() {
    return metric(*worker->stats, R"(baton_proxy_protocol_rejected_total{listener="front"})");
  }

  ListeningSocket upstream;
  std::unique_ptr<SingleWorker> worker;
  TestPeer client;
  TestPeer server;
};

}  // namespace

TEST_CASE("proxy protocol: the client is who the header says, and the bytes behind it pass") {
  Proxied proxied;
  CHECK(proxied.passes(kHeader + "hello", 5) == "hello");
  CHECK(proxied.address() == "192.0.2.1:4660");
  CHECK(proxied.rejected() == 0);
}

TEST_CASE("proxy protocol: a header may come byte by byte, and nothing goes upstream before") {
  Proxied proxied;
  for (const char c : kHeader.substr(0, kHeader.size() - 1)) {
    proxied.send(std::string_view(&c, 1));
    CHECK_FALSE(proxied.worker->only_session().freeze());
  }
  CHECK_FALSE(proxied.upstream_called());
  CHECK(proxied.passes("\nhello", 5) == "hello");
}

TEST_CASE("proxy protocol: a server that speaks first is reached by the header alone") {
  Proxied proxied;
  proxied.send(kHeader);
  TestPeer server = proxied.worker->accept(proxied.upstream);
  server.write("welcome");
  CHECK(proxied.worker->receives(proxied.client, 7));
}

TEST_CASE("proxy protocol: type-length-values of any length are skipped") {
  Proxied proxied;
  const std::string binary =
      "\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff\xc0\x00\x02\x01\xc6\x33\x64\x02\x12\x34\x01\xbb"s;
  CHECK(proxied.passes(binary + std::string(65535 - 12, 'T') + "hello", 5) == "hello");
  CHECK(proxied.address() == "192.0.2.1:4660");
}

TEST_CASE("proxy protocol: LOCAL and UNKNOWN leave the address as it is") {
  for (const std::string& header : {"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"s, "PROXY UNKNOWN\r\n"s}) {
    Proxied proxied;
    CHECK(proxied.passes(header + "hello", 5) == "hello");
    CHECK(proxied.address().starts_with("127.0.0.1:"));
  }
}

TEST_CASE("proxy protocol: a wrong header, none, or half of one closes and is counted") {
  for (const char* bytes : {"PROXY TCP4 x\r\n", "GET / HTTP/1.1\r\n"}) {
    CAPTURE(bytes);
    Proxied proxied;
    proxied.send(bytes);
    CHECK(proxied.worker->until([&] { return proxied.client.read() != Peer::Open; }));
    CHECK(proxied.rejected() == 1);
    CHECK_FALSE(proxied.upstream_called());
  }
  for (const std::string& half :
       {kHeader.substr(0, 20), ""s, "\r\n\r\n\0\r\nQUIT\n\x20\0\0\x09half"s}) {
    Proxied proxied;
    proxied.send(half);
    proxied.client.end();
    CHECK(proxied.worker->until([&] { return proxied.client.read() != Peer::Open; }));
    CHECK(proxied.rejected() == 1);
  }
}

TEST_CASE("proxy protocol: a header that does not come in time closes and is counted") {
  Proxied proxied({.timeout = 20ms});
  proxied.send("PROXY ");
  CHECK(proxied.worker->until([&] { return proxied.client.read() != Peer::Open; }));
  CHECK(proxied.rejected() == 1);
}

TEST_CASE("proxy protocol: once the header is there, time plays no part") {
  Proxied proxied({.timeout = 20ms});
  CHECK(proxied.passes(kHeader + "hello", 5) == "hello");
  const auto later = std::chrono::steady_clock::now() + 50ms;
  CHECK(proxied.worker->until([&] { return std::chrono::steady_clock::now() > later; }));
  CHECK(proxied.client.read() == Peer::Open);
  CHECK(proxied.worker->only_session().freeze());
}

TEST_CASE("proxy protocol: not required, a connection without a header passes whole") {
  Proxied proxied({.required = false});
  CHECK(proxied.passes("hello", 5) == "hello");
  CHECK(proxied.address().starts_with("127.0.0.1:"));
  Proxied other({.required = false});
  CHECK(other.passes(kHeader + "hello", 5) == "hello");
  CHECK(other.address() == "192.0.2.1:4660");
}

TEST_CASE("proxy protocol: not required, a server that speaks first is reached when time is up") {
  SUBCASE("by a client that says nothing") {
    Proxied proxied({.required = false, .timeout = 20ms});
    TestPeer server = proxied.worker->accept(proxied.upstream);
    server.write("welcome");
    CHECK(proxied.worker->receives(proxied.client, 7));
    CHECK(proxied.rejected() == 0);
  }
  SUBCASE("with what may be the beginning of anything") {
    Proxied proxied({.required = false, .timeout = 20ms});
    CHECK(proxied.passes("PRO", 3) == "PRO");
  }
  SUBCASE("not by one that has begun a header") {
    Proxied proxied({.required = false, .timeout = 300ms});
    const std::string begun = "PROXY ";
    // ... or has not ended the one in which it says who it is.
    const std::string unended =
        "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\xff\xc0\x00\x02\x01\xc6\x33\x64\x02\x12\x34\x01\xbbTTT"s;
    SUBCASE("in text") { proxied.send(begun); }
    SUBCASE("in binary") { proxied.send(unended); }
    CHECK(proxied.worker->until([&] { return proxied.client.read() != Peer::Open; }));
    CHECK(proxied.rejected() == 1);
  }
}

TEST_CASE("proxy protocol: filters behind it see the real client") {
  proxy::IpRules rules;
  rules.deny.push_back(proxy::IpRange::parse("192.0.2.0/24").value());
  Proxied proxied({}, std::make_shared<proxy::IpFilterFactory>(rules));
  proxied.send(kHeader + "hello");
  CHECK(proxied.worker->until([&] { return proxied.client.read() != Peer::Open; }));
  CHECK_FALSE(proxied.upstream_called());
  CHECK(metric(*proxied.worker->stats, R"(baton_ip_filter_refused_total{listener="front"})") == 1);
}

TEST_CASE("proxy protocol: only the proxies in front may connect") {
  const auto from = [](std::string_view range) {
    proxy::ProxyProtocolConfig config;
    config.proxies.allow.push_back(proxy::IpRange::parse(range).value());
    return config;
  };
  Proxied stranger(from("10.0.0.0/8"));
  CHECK(stranger.worker->until([&] { return stranger.client.read() != Peer::Open; }));
  CHECK(stranger.rejected() == 1);
  Proxied known(from("127.0.0.0/8"));
  CHECK(known.passes(kHeader + "hello", 5) == "hello");
}

TEST_CASE("proxy protocol: a cluster that asks for it is sent a header first") {
  const ListeningSocket upstream = listen_on("127.0.0.1:0");
  SingleWorker worker(
      {.endpoints = {{.address = upstream.address}}, .cluster = {.send_proxy_protocol = true}});
  TestPeer client = worker.connect();
  TestPeer server = worker.accept(upstream);
  REQUIRE(worker.receives(server, 28));
  const auto header = proxy::parse_proxy_header(server.received());
  CHECK(header.names_client);
  CHECK(header.client.text() == worker.only_session().state().client.text());
  client.write("hello");
  REQUIRE(worker.receives(server, 33));
  CHECK(server.received().substr(header.size) == "hello");
}

TEST_CASE("proxy protocol: what one header says, the next one repeats") {
  const ListeningSocket upstream = listen_on("127.0.0.1:0");
  SingleWorker worker(
      {.endpoints = {{.address = upstream.address}},
       .filters = {std::make_shared<proxy::ProxyProtocolFactory>(proxy::ProxyProtocolConfig())},
       .cluster = {.send_proxy_protocol = true}});
  TestPeer client = worker.connect();
  client.write(kHeader + "hello");
  TestPeer server = worker.accept(upstream);
  REQUIRE(worker.receives(server, 33));
  CHECK(proxy::parse_proxy_header(server.received()).client.text() == "192.0.2.1:4660");
  CHECK(server.received().substr(28) == "hello");
}
