#include "proxy/listener/active_listener.h"

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cerrno>

#include "proxy/config/fd_budget.h"
#include "proxy/tcp/direct_response.h"
#include "shared/os/fd_limit.h"
#include "tests/unit/fixture/single_worker.h"

using namespace baton;
using namespace baton::fixture;
using namespace std::chrono_literals;

namespace {

// Holds each connection open: a chain that does nothing.
class Holding final : public proxy::NetworkFilterFactory {
 public:
  proxy::MakeNetworkFilter bind(const proxy::FilterContext&) const override {
    struct Filter final : proxy::NetworkFilter {
      proxy::FilterStatus on_data(proxy::Buffer& data, proxy::EndOfStream end) override {
        data.clear();
        if (end == proxy::EndOfStream::Yes) callbacks.close(proxy::CloseMode::Now);
        return proxy::FilterStatus::Continue;
      }
      explicit Filter(proxy::NetworkFilterCallbacks& handle) : callbacks(handle) {}
      proxy::NetworkFilterCallbacks& callbacks;
    };
    return [](proxy::NetworkFilterCallbacks& callbacks) {
      return std::make_unique<Filter>(callbacks);
    };
  }
};

SingleWorker::Options holding(std::uint32_t max_connections = 0) {
  return {.max_connections = max_connections, .filters = {std::make_shared<Holding>()}};
}

std::vector<TestPeer> connect(const SingleWorker& worker, int count) {
  std::vector<TestPeer> clients;
  for (int i = 0; i < count; ++i) clients.emplace_back(connect_to(worker.listening.address));
  return clients;
}

// As another process has it.
proxy::TunnelState copy_of(const proxy::TunnelState& state) {
  proxy::TunnelState copy;
  copy.downstream.fd.reset(::dup(state.downstream.fd.get()));
  copy.upstream = std::make_unique<proxy::UpstreamLeg>();
  copy.upstream->fd.reset(::dup(state.upstream->fd.get()));
  copy.client = state.client;
  copy.accepted = state.accepted;
  return copy;
}

// Not one more descriptor for this process while it lives.
struct NoDescriptors {
  NoDescriptors() {
    ::getrlimit(RLIMIT_NOFILE, &before);
    const os::UniqueFd lowest_free(::dup(0));
    rlimit none = before;
    none.rlim_cur = static_cast<rlim_t>(lowest_free.get());
    ::setrlimit(RLIMIT_NOFILE, &none);
  }
  ~NoDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before); }
  rlimit before{};
};

// The limit of open files is so many above those that are open, while it lives.
struct DescriptorsLeft {
  explicit DescriptorsLeft(std::uint64_t count) {
    ::getrlimit(RLIMIT_NOFILE, &before);
    rlimit few = before;
    few.rlim_cur = static_cast<rlim_t>(os::next_fd() + count);
    ::setrlimit(RLIMIT_NOFILE, &few);
  }
  ~DescriptorsLeft() { ::setrlimit(RLIMIT_NOFILE, &before); }
  rlimit before{};
};

}  // namespace

TEST_CASE("listener: many clients at once are all accepted") {
  SingleWorker worker(holding());
  std::vector<TestPeer> clients = connect(worker, 300);
  CHECK(worker.until([&] { return worker.held.count() == 300; }));
  CHECK(worker.listener_metric("connections_total") == 300);
  CHECK(worker.listener_metric("connections_active") == 300);
  clients.clear();
  CHECK(worker.is_empty());
  CHECK(worker.listener_metric("connections_active") == 0);
}

TEST_CASE("listener: beyond max_connections clients wait and are served when there is room") {
  SingleWorker worker(holding(3));
  std::vector<TestPeer> clients = connect(worker, 8);
  REQUIRE(worker.until([&] { return worker.held.count() == 3; }));
  const auto begun = std::chrono::steady_clock::now();
  REQUIRE(worker.until([&] { return std::chrono::steady_clock::now() - begun > 50ms; }));
  CHECK(worker.held.count() == 3);
  CHECK(worker.listener_metric("connections_active") == 3);
  CHECK(worker.listener_metric("connections_limited_total") == 1);
  for (std::int64_t served = 4; served <= 8; ++served) {
    clients.erase(clients.begin());
    CHECK(worker.until([&] { return worker.listener_metric("connections_total") == served; }));
    CHECK(worker.held.count() <= 3);
    // Each who gets a place leaves others waiting, but for the last.
    const std::int64_t limited = std::min<std::int64_t>(served - 2, 5);
    CHECK(worker.until(
        [&] { return worker.listener_metric("connections_limited_total") >= limited; }));
    CHECK(worker.listener_metric("connections_limited_total") == limited);
  }
  clients.clear();
  CHECK(worker.is_empty());
  CHECK(worker.listener_metric("connections_active") == 0);
}

TEST_CASE("listener: as many clients as max_connections make nobody wait") {
  SingleWorker worker(holding(3));
  const std::vector<TestPeer> clients = connect(worker, 3);
  REQUIRE(worker.until([&] { return worker.held.count() == 3; }));
  CHECK(worker.listener_metric("connections_limited_total") == 0);
}

TEST_CASE("listener: clients that wait at several workers are one time of waiting") {
  SingleWorker worker(holding(2));
  const ListeningSocket other_socket = listen_on("127.0.0.1:0");
  const std::unique_ptr<proxy::ActiveListener> other = worker.another_listener();
  other->accept_on(other_socket.fd.get());
  const TestPeer here = worker.connect();
  const TestPeer there(connect_to(other_socket.address));
  REQUIRE(worker.until([&] { return worker.held.count() == 2; }));
  CHECK(worker.listener_metric("connections_limited_total") == 0);
  const TestPeer waits_here(connect_to(worker.listening.address));
  const TestPeer waits_there(connect_to(other_socket.address));
  const auto begun = std::chrono::steady_clock::now();
  REQUIRE(worker.until([&] { return std::chrono::steady_clock::now() - begun > 50ms; }));
  CHECK(worker.listener_metric("connections_limited_total") == 1);
}

TEST_CASE("listener: a connection that both generations count for a moment is no limit reached") {
  const ListeningSocket upstream = listen_on("127.0.0.1:0");
  SingleWorker worker({.endpoints = {{.address = upstream.address}}, .max_connections = 2});
  const TestPeer client = worker.connect();
  const TestPeer server = worker.accept(upstream);
  proxy::Session& session = worker.only_session();
  REQUIRE(worker.until([&] { return session.freeze(); }));
  worker.listener->take_out(session);
  const std::unique_ptr<proxy::ActiveListener> there = worker.another_listener();
  auto moved = there->restore(copy_of(session.state()), session.move_details());
  REQUIRE(moved);
  REQUIRE(worker.listener_metric("connections_active") == 2);
  const TestPeer fresh(connect_to(worker.listening.address));
  const auto begun = std::chrono::steady_clock::now();
  REQUIRE(worker.until([&] { return std::chrono::steady_clock::now() - begun > 30ms; }));
  CHECK(worker.listener_metric("connections_total") == 1);
  there->admit_moved(std::move(moved));
  worker.listener->has_moved(session);
  CHECK(worker.until([&] { return worker.listener_metric("connections_total") == 2; }));
  CHECK(worker.listener_metric("connections_limited_total") == 0);
  const TestPeer waits(connect_to(worker.listening.address));
  CHECK(worker.until([&] { return worker.listener_metric("connections_limited_total") == 1; }));
}

TEST_CASE("listener: a place that another worker takes to look at the count is no limit reached") {
  SingleWorker worker(holding(1));
  const region::Gauge other_worker = worker.lane->gauge(worker.metrics.connections_active);
  TestPeer client;
  {
    const proxy::ConnectionLimit::Look look(worker.limit);
    other_worker.add();
    client = TestPeer(connect_to(worker.listening.address));
    const auto begun = std::chrono::steady_clock::now();
    REQUIRE(worker.until([&] { return std::chrono::steady_clock::now() - begun > 30ms; }));
    CHECK(worker.listener_metric("connections_total") == 0);
    other_worker.sub();
  }
  CHECK(worker.until([&] { return worker.listener_metric("connections_total") == 1; }));
  CHECK(worker.listener_metric("connections_limited_total") == 0);
  const TestPeer waits(connect_to(worker.listening.address));
  CHECK(worker.until([&] { return worker.listener_metric("connections_limited_total") == 1; }));
}

TEST_CASE("listener: without descriptors it waits instead of spinning, and then goes on") {
  SingleWorker worker(holding());
  const std::vector<TestPeer> clients = connect(worker, 5);
  const auto begun = std::chrono::steady_clock::now();
  {
    const NoDescriptors none;
    REQUIRE(worker.until([&] { return worker.listener_metric("accept_errors_total") >= 3; }));
  }
  const auto pauses = (std::chrono::steady_clock::now() - begun) / 100ms;
  CHECK(worker.held.count() == 0);
  CHECK(pauses >= 1);  // behind the first and the second, and clocks may differ by a tick
  CHECK(worker.listener_metric("accept_errors_total") <= pauses + 2);
  CHECK(worker.until([&] { return worker.held.count() == 5; }));
}

TEST_CASE("listener: with few descriptors from the start clients are served one after the other") {
  const DescriptorsLeft few(proxy::kFdReserve);
  SingleWorker worker(holding());
  std::vector<TestPeer> clients = connect(worker, 3);
  for (std::int64_t served = 1; served <= 3; ++served) {
    CAPTURE(served);
    REQUIRE(worker.until([&] { return worker.listener_metric("connections_total") == served; }));
    CHECK(worker.held.count() == 1);
    clients.erase(clients.begin());
  }
  CHECK(worker.is_empty());
}

TEST_CASE("listener: a released socket keeps its queue, wakes nobody and can be taken up again") {
  SingleWorker worker(holding());
  const int fd = worker.listening.fd.get();
  REQUIRE(worker.connect().valid());
  CHECK(epoll_registrations(fd) == 1);
  worker.listener->release(fd);
  CHECK(epoll_registrations(fd) == 0);
  const std::vector<TestPeer> clients = connect(worker, 3);
  settle(worker.loop);
  CHECK(worker.listener_metric("connections_total") == 1);
  worker.listener->accept_on(fd);
  worker.listener->accept_on(fd);
  CHECK(worker.until([&] { return worker.listener_metric("connections_total") == 4; }));
  // In one iteration: libev must not believe that nothing has changed.
  worker.listener->release(fd);
  worker.listener->accept_on(fd);
  const std::vector<TestPeer> more = connect(worker, 2);
  CHECK(worker.until([&] { return worker.listener_metric("connections_total") == 6; }));
}

TEST_CASE("listener: retiring accepts all that wait, beyond max_connections too, then stops") {
  SingleWorker worker(holding(2));
  worker.listener->release(worker.listening.fd.get());
  const std::vector<TestPeer> clients = connect(worker, 100);
  bool retired = false;
  worker.listener->retire(worker.listening.fd.get(), [&] { retired = true; });
  CHECK(worker.until([&] { return retired; }));
  CHECK(worker.listener_metric("connections_total") == 100);
}

TEST_CASE("listener: who comes while it retires is refused by the closed socket, never reset") {
  SingleWorker worker(holding());
  const os::SocketAddress address = worker.listening.address;
  const std::vector<TestPeer> clients = connect(worker, 20);
  bool retired = false;
  worker.listener->retire(worker.listening.fd.get(), [&] { retired = true; });
  const os::UniqueFd late(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK, 0));
  REQUIRE(::connect(late.get(), address.data(), address.length()) == -1);
  REQUIRE(errno == EINPROGRESS);
  CHECK(worker.until([&] { return retired; }));
  CHECK(worker.listener_metric("connections_total") == 20);
  worker.listening.fd.reset();
  pollfd refused{.fd = late.get(), .events = POLLOUT, .revents = 0};
  REQUIRE(::poll(&refused, 1, 10'000) == 1);  // the SYN is sent again after a second
  int error = 0;
  socklen_t length = sizeof error;
  REQUIRE(::getsockopt(late.get(), SOL_SOCKET, SO_ERROR, &error, &length) == 0);
  CHECK(error == ECONNREFUSED);
}

TEST_CASE("listener: retiring an empty queue waits for handshakes; releasing ends the wait") {
  SingleWorker worker(holding());
  int retired = 0;
  worker.listener->retire(worker.listening.fd.get(), [&] { ++retired; });
  CHECK(retired == 0);
  CHECK(worker.until([&] { return retired == 1; }));
  worker.listener->retire(worker.listening.fd.get(), [&] { ++retired; });
  CHECK(retired == 1);
  worker.listener->release(worker.listening.fd.get());
  CHECK(retired == 2);
}

TEST_CASE("listener: connections that are left are cut with the worker, and counted") {
  const std::size_t before = open_descriptors();
  {
    SingleWorker worker(holding());
    std::vector<TestPeer> clients = connect(worker, 5);
    REQUIRE(worker.until([&] { return worker.held.count() == 5; }));
    worker.listener.reset();
    CHECK(worker.listener_metric("connections_cut_total") == 5);
    CHECK(worker.listener_metric("connections_active") == 0);
    for (TestPeer& client : clients) CHECK(client.read() == Peer::Reset);
  }
  CHECK(open_descriptors() == before);
}

TEST_CASE("listener: the local and the remote address of a connection are its own") {
  struct Addresses final : proxy::NetworkFilterFactory {
    proxy::MakeNetworkFilter bind(const proxy::FilterContext&) const override {
      struct Filter final : proxy::NetworkFilter {
        explicit Filter(proxy::NetworkFilterCallbacks& handle) : callbacks(handle) {}
        proxy::FilterStatus on_new_connection() override {
          proxy::Buffer text;
          text.append(callbacks.remote_address().text() + " " + callbacks.local_address().text());
          callbacks.write(text, proxy::EndOfStream::Yes);
          callbacks.close(proxy::CloseMode::Linger);
          return proxy::FilterStatus::Continue;
        }
        proxy::NetworkFilterCallbacks& callbacks;
      };
      return [](proxy::NetworkFilterCallbacks& callbacks) {
        return std::make_unique<Filter>(callbacks);
      };
    }
  };
  SingleWorker worker({.filters = {std::make_shared<Addresses>()}});
  TestPeer client = worker.connect();
  CHECK(worker.sees(client, Peer::Ended));
  CHECK(client.received() ==
        os::SocketAddress::of_socket(client.fd())->text() + " " + worker.listening.address.text());
}

TEST_CASE("connection limit: a look knows of each other one that was there at the same time") {
  using Look = proxy::ConnectionLimit::Look;
  proxy::ConnectionLimit limit;
  {
    const Look first(limit);
    CHECK(first.was_alone());
    {
      const Look second(limit);
      CHECK_FALSE(second.was_alone());
    }
    CHECK_FALSE(first.was_alone());
    const Look third(limit);
    CHECK_FALSE(third.was_alone());
  }
  CHECK(Look(limit).was_alone());
}

TEST_CASE("connection limit: one that arrives is doubted for a while, and no longer") {
  using proxy::ConnectionLimit;
  ConnectionLimit limit;
  CHECK_FALSE(limit.counts_twice());
  const auto begin = std::chrono::steady_clock::now();
  const auto deadline = begin + 20s;
  limit.arrives();
  CHECK(limit.counts_twice());
  while (limit.counts_twice() && std::chrono::steady_clock::now() < deadline) {
  }
  CHECK_FALSE(limit.counts_twice());
  CHECK(std::chrono::steady_clock::now() - begin >= ConnectionLimit::kLongestArrival);
  limit.has_arrived();
  CHECK(limit.counts_twice());
}
