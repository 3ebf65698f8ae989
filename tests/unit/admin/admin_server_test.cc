#include "proxy/admin/admin_server.h"

#include <doctest/doctest.h>
#include <sys/time.h>

#include <string>
#include <thread>

#include "proxy/server/bind.h"

using namespace baton;
using namespace baton::proxy;

namespace {

struct Admin {
  Admin() {
    auto fd = bind_stream_socket(*os::SocketAddress::parse("127.0.0.1:0"), GroupPlace::First);
    REQUIRE(fd);
    listening = std::move(*fd);
    REQUIRE(::listen(listening.get(), 16) == 0);
    address = *os::SocketAddress::of_socket(listening.get());
    server.accept_on(listening.get());
  }

  os::UniqueFd connect() {
    os::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval deadline{.tv_sec = 10, .tv_usec = 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline);
    REQUIRE(::connect(fd.get(), address.data(), address.length()) == 0);
    return fd;
  }

  // All that comes back to these bytes.
  std::string ask(const std::string& request) {
    std::string answer;
    const os::UniqueFd fd = connect();
    std::thread client([&] {
      [[maybe_unused]] const auto n =
          ::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL);
      char buffer[4096];
      for (;;) {
        const ssize_t count = ::recv(fd.get(), buffer, sizeof buffer, 0);
        if (count <= 0) break;
        answer.append(buffer, static_cast<std::size_t>(count));
      }
      loop.post([this] { loop.stop(); });
    });
    loop.run();
    client.join();
    return answer;
  }

  os::UniqueFd listening;
  os::SocketAddress address;
  EventLoop loop;
  std::string metrics = "baton_x 1\n";
  AdminServer server{loop, [this](const auto& deliver) { deliver(metrics); }};
};

}  // namespace

TEST_CASE("admin: each request gets the answer it should") {
  struct Row {
    const char* request;
    const char* status;
    const char* body;
  };
  const Row rows[] = {
      {"GET /ready HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK", "\r\n\r\nready\n"},
      {"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK", "\r\n\r\nbaton_x 1\n"},
      {"GET /metrics?x=1 HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK", "baton_x 1\n"},
      {"HEAD /ready HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK", "Connection: close\r\n\r\n"},
      {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK", "/metrics\n"},
      {"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 404 Not Found", "\n"},
      {"POST /ready HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 405 Method Not Allowed", "\n"},
      {"not http at all\r\n\r\n", "HTTP/1.1 400 Bad Request", "malformed request\n"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.request);
    Admin admin;
    admin.server.set_ready(true);
    const std::string answer = admin.ask(row.request);
    CHECK(answer.starts_with(row.status));
    CHECK(answer.ends_with(row.body));
  }
}

TEST_CASE("admin: a generation that takes no connections is not ready") {
  Admin admin;
  CHECK(admin.ask("GET /ready HTTP/1.1\r\nHost: x\r\n\r\n").starts_with("HTTP/1.1 503 "));
}

TEST_CASE("admin: statistics that cannot be had are a 503") {
  Admin admin;
  admin.metrics.clear();
  CHECK(admin.ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").starts_with("HTTP/1.1 503 "));
}

TEST_CASE("admin: a head that never ends is refused") {
  Admin admin;
  CHECK(admin.ask("GET /ready HTTP/1.1\r\nX: " + std::string(20000, 'a'))
            .starts_with("HTTP/1.1 400 "));
}

TEST_CASE("admin: after release nobody is accepted, and accepting can go on later") {
  Admin admin;
  admin.server.set_ready(true);
  admin.server.release();
  const os::UniqueFd waiting = admin.connect();
  REQUIRE(::send(waiting.get(), "GET /ready HTTP/1.1\r\nHost: x\r\n\r\n", 33, MSG_NOSIGNAL) > 0);
  // One turn of the loop with the connection in the queue.
  admin.loop.post([&] { admin.loop.post([&] { admin.loop.stop(); }); });
  admin.loop.run();
  char byte;
  CHECK(::recv(waiting.get(), &byte, 1, MSG_DONTWAIT) == -1);
  admin.server.accept_on(admin.listening.get());
  CHECK(admin.ask("GET /ready HTTP/1.1\r\nHost: x\r\n\r\n").starts_with("HTTP/1.1 200 "));
}
