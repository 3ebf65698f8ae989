// Filters that stop, and what may happen meanwhile.
#include <functional>

#include "proxy/http/filter/compression/compression.h"
#include "proxy/http/filter/fault/fault.h"
#include "proxy/http/filter/http_filter.h"
#include "tests/unit/http/http_rig.h"

using namespace baton;
using namespace baton::fixture;
using namespace baton::proxy;
using namespace std::chrono_literals;
using http::HttpFilterStatus;

namespace {

// Stops where it is told to; `seen` is the last one of them that was made.
class Stopper final : public http::HttpFilter {
 public:
  enum class At { Nowhere, RequestHead, ResponseHead, ResponseData, ResponseTrailers };

  explicit Stopper(At at) : at_(at) { seen = this; }
  HttpFilterStatus decode_headers(http::RequestHead&, EndOfStream) override {
    return stop(At::RequestHead);
  }
  HttpFilterStatus encode_headers(http::ResponseHead&, EndOfStream) override {
    return stop(At::ResponseHead);
  }
  HttpFilterStatus encode_data(Buffer&, EndOfStream) override { return stop(At::ResponseData); }
  HttpFilterStatus encode_trailers(http::HeaderMap&) override { return stop(At::ResponseTrailers); }
  ~Stopper() override { seen = nullptr; }
  void go_on() { callbacks().continue_encoding(); }

  static inline Stopper* seen = nullptr;

 private:
  HttpFilterStatus stop(At here) const {
    return at_ == here ? HttpFilterStatus::StopIteration : HttpFilterStatus::Continue;
  }
  const At at_;
};

// Only requests for /stop have the filter.
class StopperFactory final : public http::HttpFilterFactory {
 public:
  explicit StopperFactory(Stopper::At at) : at_(at) {}
  http::MakeHttpFilter bind(const http::HttpFilterContext&) const override {
    return [at = at_](const http::RequestHead& head) -> std::unique_ptr<http::HttpFilter> {
      return head.path == "/stop" ? std::make_unique<Stopper>(at) : nullptr;
    };
  }

 private:
  const Stopper::At at_;
};

http::HttpConfig stopping_at(Stopper::At at) {
  return {.filters = {std::make_shared<const StopperFactory>(at)}};
}

const std::string kStop = "GET /stop HTTP/1.1\r\nHost: a\r\n\r\n";

}  // namespace

TEST_CASE("filter: what waits for one that has stopped is not sent to another client") {
  SUBCASE("at the trailers") {
    HttpRig rig(stopping_at(Stopper::At::ResponseTrailers));
    REQUIRE(rig.send(kStop));
    TestPeer server = rig.accept();
    REQUIRE(rig.contains(server, "\r\n\r\n"));
    REQUIRE(rig.send(server,
                     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                     "6\r\nsecret\r\n0\r\nX-End: 1\r\n\r\n"));
    CHECK(rig.contains(rig.client, "secret"));
    rig.client = rig.worker->connect();
    CHECK(rig.exchange(server));
  }
  SUBCASE("at the data of a local reply") {
    HttpRig rig(stopping_at(Stopper::At::ResponseData));
    rig.servers.clear();
    REQUIRE(rig.send(kStop));
    CHECK(rig.starts_with(rig.client, "HTTP/1.1 503 Service Unavailable\r\n"));
    rig.client = rig.worker->connect();
    REQUIRE(rig.send(kGet));
    CHECK(rig.starts_with(rig.client, "HTTP/1.1 503 Service Unavailable\r\n"));
    settle(rig.worker->loop);
    rig.client.read();
    CHECK(rig.client.received().rfind("HTTP/1.1") == 0);
  }
}

TEST_CASE("filter: a request's body goes on while its complete answer is stopped") {
  HttpRig rig(stopping_at(Stopper::At::ResponseHead));
  TestPeer server = rig.ask("POST /stop HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  REQUIRE(rig.send(server, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
  settle(rig.worker->loop);
  REQUIRE(rig.send("3\r\nabc\r\n"));
  settle(rig.worker->loop);
  REQUIRE(rig.send("0\r\n\r\n"));
  settle(rig.worker->loop);
  Stopper::seen->go_on();
  CHECK(rig.has(rig.client, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"));
}

TEST_CASE("filter: a tunnel whose answer is stopped carries on where it was") {
  HttpRig rig(stopping_at(Stopper::At::ResponseHead));
  REQUIRE(rig.send(
      "GET /stop HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"));
  TestPeer server = rig.accept();
  REQUIRE(rig.contains(server, "\r\n\r\n"));
  REQUIRE(rig.send(server,
                   "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
                   "Upgrade: websocket\r\n\r\none"));
  settle(rig.worker->loop);
  REQUIRE(rig.send(server, "two"));
  settle(rig.worker->loop);
  Stopper::seen->go_on();
  CHECK(rig.contains(rig.client, "\r\n\r\nonetwo"));
}

TEST_CASE("filter: it is destroyed with its request, not with the next one") {
  HttpRig rig(stopping_at(Stopper::At::Nowhere));
  rig.servers.clear();
  REQUIRE(rig.send(kStop));
  REQUIRE(rig.starts_with(rig.client, "HTTP/1.1 503 Service Unavailable\r\n"));
  settle(rig.worker->loop);
  CHECK(Stopper::seen == nullptr);
}

TEST_CASE("filter: none makes a tunnel of a CONNECT by answering it") {
  http::FaultConfig fault{.plan = {.abort = http::Abort::Answer, .status = 200},
                          .abort_percent = 100};
  HttpRig rig({.connect = true, .filters = {std::make_shared<const http::FaultFactory>(fault)}});
  REQUIRE(rig.send("CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n"));
  CHECK(rig.starts_with(rig.client, "HTTP/1.1 405 Method Not Allowed\r\n"));
  CHECK(rig.worker->sees(rig.client, Peer::Ended));
}

TEST_CASE("filter: what compression keeps is sent when the upstream pauses") {
  using namespace std::string_view_literals;
  const http::CompressionConfig config{.rules = {.content_types = {"text/*"}}};
  HttpRig rig({.filters = {std::make_shared<const http::CompressionFactory>(config)}});
  TestPeer server = rig.ask("GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n");
  REQUIRE(rig.send(server,
                   "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                   "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n"));
  const std::string_view flushed = "\0\0\xff\xff\r\n"sv;  // zlib.h, Z_SYNC_FLUSH
  CHECK(rig.contains(rig.client, flushed));
  const std::string& received = rig.client.received();
  CHECK(received.find(flushed) == received.rfind(flushed));
  REQUIRE(rig.send(server, "0\r\n\r\n"));
  CHECK(rig.contains(rig.client, "0\r\n\r\n"));
}
