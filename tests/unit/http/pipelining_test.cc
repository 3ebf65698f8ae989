// What a client sends ahead of its answers, and how its connection ends.
#include "tests/unit/http/http_rig.h"

using namespace baton;
using namespace baton::fixture;
using namespace std::chrono_literals;

namespace {

// Every request is answered with `body`.
proxy::http::HttpConfig answering(std::string body) {
  return routed(proxy::http::DirectResponseAction{.body = std::move(body)});
}

std::string repeated(std::string_view text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

std::size_t occurrences(std::string_view text, std::string_view part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++count;
  return count;
}

}  // namespace

TEST_CASE("pipelining: a client that does not read its answers is not answered for ever") {
  HttpRig rig(answering(std::string(100'000, 'x')));
  // 4,000 answers of 100 kB: what the sockets do not take must not gather here.
  std::string requests = repeated(kGet, 4000);
  std::string_view left = requests;
  for (int i = 0; i < 200 && !left.empty(); ++i) {
    left.remove_prefix(rig.client.write(left));
    settle(rig.worker->loop);
  }
  CHECK(rig.worker->only_session().state().downstream.unsent.size() < 1'000'000);
  CHECK(rig.http_metric("requests_total") < 1000);
  SUBCASE("it gets them all when it reads") {
    CHECK(rig.worker->until([&] {
      if (!left.empty()) left.remove_prefix(rig.client.write(left));
      rig.client.read();
      return rig.http_metric("requests_total") == 4000 &&
             rig.worker->only_session().state().downstream.unsent.empty();
    }));
  }
  SUBCASE("its connection is cut visibly") {
    rig.worker->listener->cut_connections();
    CHECK(rig.worker->listener_metric("connections_cut_total") == 1);
  }
}

TEST_CASE("pipelining: a head that is larger than what may wait is read all the same") {
  HttpRig rig({.limits = {.header_bytes = 256 * 1024}});
  REQUIRE(
      rig.send("GET / HTTP/1.1\r\nHost: a\r\nX-Large: " + std::string(150'000, 'x') + "\r\n\r\n"));
  TestPeer server = rig.accept();
  REQUIRE(rig.contains(server, "\r\n\r\n"));
}

TEST_CASE("pipelining: a client that half-closes gets the answer to each request before that") {
  HttpRig rig;
  REQUIRE(rig.send(kGet + kGet));
  rig.client.end();
  TestPeer server = rig.accept();
  REQUIRE(rig.contains(server, "\r\n\r\n"));
  settle(rig.worker->loop);
  REQUIRE(rig.send(server, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1"));
  REQUIRE(rig.worker->until([&] {
    server.read();
    return occurrences(server.received(), "\r\n\r\n") == 2 || rig.client.read() != Peer::Open;
  }));
  REQUIRE(rig.send(server, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2"));
  CHECK(rig.worker->sees(rig.client, Peer::Ended));
  CHECK(rig.client.received().ends_with("\r\n\r\n2"));
  CHECK(rig.worker->is_empty());
}

TEST_CASE("pipelining: half a request and the end of the client closes behind the last answer") {
  HttpRig rig(answering("hello"));
  REQUIRE(rig.send(kGet + "GET /2 HT"));
  rig.client.end();
  CHECK(rig.worker->sees(rig.client, Peer::Ended));
  CHECK(rig.client.received().ends_with("hello"));
  CHECK(rig.worker->is_empty());
}

TEST_CASE("pipelining: a client that ends while its answer is on the way gets all of it") {
  const std::string body = pattern(8'000'000, 1);
  HttpRig rig(answering(body));
  REQUIRE(rig.send(kGet));
  REQUIRE(rig.contains(rig.client, "\r\n\r\n"));
  REQUIRE(rig.http_metric("requests_active") == 0);
  rig.client.end();
  settle(rig.worker->loop);
  CHECK(rig.worker->sees(rig.client, Peer::Ended));
  CHECK(rig.client.received().ends_with(body));
}

TEST_CASE("pipelining: what was sent behind the last request does not cost its answer") {
  HttpRig rig({.max_requests_per_connection = 1, .routes = answering("hello").routes});
  REQUIRE(rig.send(kGet + kGet));
  settle(rig.worker->loop);
  // More input must not reset what the client has not read yet: it is waited for, too.
  CHECK(rig.worker->held.count() == 1);
  rig.client.write(kGet);
  CHECK(rig.worker->sees(rig.client, Peer::Ended));
  CHECK(rig.client.received().ends_with("hello"));
}

TEST_CASE("pipelining: a refused CONNECT and what was sent behind it end the connection") {
  HttpRig rig;
  REQUIRE(rig.send("CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n" + kGet));
  CHECK(rig.contains(rig.client, "HTTP/1.1 405 Method Not Allowed\r\n"));
  CHECK(rig.worker->sees(rig.client, Peer::Ended));
  CHECK(rig.http_metric("requests_total") == 1);
}

TEST_CASE("pipelining: a CONNECT that is not forwarded is refused, whatever its route answers") {
  for (const bool allowed : {false, true}) {
    CAPTURE(allowed);
    HttpRig rig({.connect = allowed, .routes = answering("hello").routes});
    REQUIRE(rig.send("CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n"));
    CHECK(rig.starts_with(rig.client, "HTTP/1.1 405 Method Not Allowed\r\n"));
    CHECK(rig.worker->sees(rig.client, Peer::Ended));
    CHECK(rig.client.received().find("hello") == std::string::npos);
  }
}

TEST_CASE("pipelining: nobody waits for a body that the client may never send") {
  HttpRig rig(answering("hello"));
  REQUIRE(
      rig.send("PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"));
  CHECK(rig.contains(rig.client, "connection: close\r\n"));
  CHECK(rig.worker->sees(rig.client, Peer::Ended));
}

TEST_CASE("pipelining: a connection that ends behind a request that waited is gone at once") {
  proxy::http::Route direct;
  direct.match.path = proxy::http::ExactPath{"/direct"};
  direct.action = proxy::http::DirectResponseAction{.body = "hello"};
  proxy::http::Route forward;
  forward.action = proxy::http::ForwardAction{.clusters = {{.name = "back"}}};
  std::vector<proxy::http::Route> routes;
  routes.push_back(std::move(direct));
  routes.push_back(std::move(forward));
  HttpRig rig({.routes = std::make_shared<const proxy::http::RouteTable>(std::move(routes))});
  REQUIRE(rig.send(kGet + "GET /direct HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
  TestPeer server = rig.accept();
  REQUIRE(rig.contains(server, "\r\n\r\n"));
  settle(rig.worker->loop);
  REQUIRE(server.write("HTTP/1.1 204 No Content\r\n\r\n") > 0);
  // One event; where the loop would sleep next, nothing may be left to do.
  rig.worker->loop.ref().run(ev::NOWAIT);
  rig.worker->loop.ref().run(ev::NOWAIT);
  CHECK(rig.http_metric("requests_total") == 2);
  CHECK(rig.worker->held.count() == 0);
}

namespace {

// While connections move: the first of three requests has been answered, the others wait.
struct Boarding {
  Boarding() {
    REQUIRE(rig.send(kGet + kGet + kGet));
    server = rig.accept();
    REQUIRE(rig.contains(server, "\r\n\r\n"));
    rig.worker->drain.set_moving(proxy::Moving::Now);
    answer("1");
    REQUIRE(rig.worker->until([&] { return session().boards(); }));
  }
  proxy::Session& session() { return rig.worker->only_session(); }
  void answer(const std::string& body) {
    REQUIRE(rig.send(server, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + body));
    REQUIRE(rig.contains(rig.client, "\r\n\r\n" + body));
  }
  bool is_asked(std::size_t times) {
    return rig.worker->until([&] {
      server.read();
      return occurrences(server.received(), "\r\n\r\n") >= times;
    });
  }
  // The others are answered, one after the other.
  void check_the_rest() {
    rig.worker->drain.set_moving(proxy::Moving::Off);
    REQUIRE(is_asked(2));
    answer("2");
    REQUIRE(is_asked(3));
    answer("3");
    CHECK(occurrences(rig.client.received(), "HTTP/1.1 200 OK") == 3);
    CHECK(occurrences(server.received(), "\r\n\r\n") == 3);
  }

  HttpRig rig;
  TestPeer server;
};

}  // namespace

TEST_CASE("pipelining: who boards reads no further request") {
  Boarding boarding;
  settle(boarding.rig.worker->loop);
  boarding.server.read();
  CHECK(occurrences(boarding.server.received(), "\r\n\r\n") == 1);
  SUBCASE("until it is told to go on") {
    boarding.rig.worker->listener->let_go_on(boarding.session());
    boarding.check_the_rest();
  }
  SUBCASE("until it is cut, as between two messages") {
    boarding.rig.worker->listener->cut_connections();
    CHECK(boarding.rig.worker->is_empty());
    CHECK(boarding.rig.worker->listener_metric("connections_cut_total") == 0);
  }
}

TEST_CASE("pipelining: the requests that wait move with their connection") {
  Boarding boarding;
  proxy::ActiveListener& here = *boarding.rig.worker->listener;
  proxy::Session& session = boarding.session();
  REQUIRE(session.freeze());
  const proxy::MoveDetails details = session.move_details();
  CHECK(details.unread == kGet + kGet);
  here.take_out(session);
  SUBCASE("and are answered where it goes on") {
    const auto there = boarding.rig.worker->another_listener();
    auto moved = there->restore(std::move(session.state()), details);
    REQUIRE(moved);
    here.has_moved(session);
    there->admit_moved(std::move(moved));
    boarding.check_the_rest();
  }
  SUBCASE("and are answered here if it is taken back") {
    here.put_back(session);
    boarding.check_the_rest();
  }
}
