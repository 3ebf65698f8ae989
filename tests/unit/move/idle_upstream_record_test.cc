// What travels of a connection to an endpoint that waits for the next request.
#include "proxy/move/idle_upstream_record.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include "tests/unit/http/http_rig.h"

using namespace baton;
using namespace baton::fixture;
using namespace std::chrono_literals;

namespace {

// One of which the endpoint has said this in its last response, out of its pool.
struct IdleConnection {
  explicit IdleConnection(const std::string& line) {
    server = rig.ask();
    REQUIRE(rig.send(server, "HTTP/1.1 200 OK\r\n" + line + "Content-Length: 2\r\n\r\nok"));
    REQUIRE(rig.contains(rig.client, "ok"));
    connection = pool().take_out();
    REQUIRE(connection != nullptr);
  }
  ~IdleConnection() { pool().put_back(*connection); }
  proxy::http::UpstreamPool& pool() { return *rig.worker->http.find_pool("back"); }
  proto::ConnectionRecord write() {
    proto::ConnectionRecord record;
    std::vector<int> fds;
    proxy::write_record("back", *connection, record, fds);
    return record;
  }
  auto read(const proto::ConnectionRecord& record) {
    auto read = proxy::read_idle_upstream(record, os::UniqueFd(::dup(connection->fd())));
    REQUIRE(read);
    return std::move(*read);
  }

  HttpRig rig;
  TestPeer server;
  proxy::http::UpstreamConnection* connection = nullptr;
};

}  // namespace

TEST_CASE("idle upstream record: for how long the endpoint keeps it goes along") {
  IdleConnection idle("Keep-Alive: timeout=5\r\n");
  proto::ConnectionRecord record = idle.write();
  auto read = idle.read(record);
  CHECK(read.keep == 4s);
  const auto restored =
      idle.pool().restore(std::move(read.leg), read.endpoint, record.requests(), read.keep);
  REQUIRE(restored);
  CHECK(restored->kept() == 4s);
  record.set_keep_ms(UINT64_MAX);
  CHECK(idle.read(record).keep == std::chrono::milliseconds::max());
}

TEST_CASE("idle upstream record: the endpoint need not say it, nor an earlier release") {
  IdleConnection idle("");
  const proto::ConnectionRecord record = idle.write();
  CHECK_FALSE(record.has_keep_ms());
  CHECK(idle.read(record).keep == std::chrono::milliseconds::max());
}

TEST_CASE("idle upstream record: that another process may have the socket goes along") {
  IdleConnection idle("");
  CHECK_FALSE(idle.read(idle.write()).leg.shared);
  idle.connection->set_shared();
  CHECK(idle.read(idle.write()).leg.shared);
}
