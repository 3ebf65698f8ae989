#include "proxy/tcp/direct_response.h"

#include <doctest/doctest.h>

#include "tests/unit/fixture/single_worker.h"

using namespace baton;
using namespace baton::fixture;
using namespace std::chrono_literals;
using proxy::DirectResponseFactory;

namespace {

SingleWorker::Options answering(std::string body) {
  return {.filters = {std::make_shared<DirectResponseFactory>(std::move(body))}};
}

}  // namespace

TEST_CASE("direct_response: the answer arrives, then an end") {
  SingleWorker worker(answering("I am %GENERATION% of %VERSION%"));
  TestPeer client = worker.connect();
  CHECK(worker.sees(client, Peer::Ended));
  CHECK(client.received() == "I am 7 of 1.2.3");
  client.close();
  CHECK(worker.is_empty());
}

TEST_CASE("direct_response: input that nobody reads does not destroy the answer") {
  const std::string body = pattern(100'000, 6);
  SingleWorker worker(answering(body));
  TestPeer client = worker.connect();
  const std::string upload = pattern(1'000'000, 7);
  std::size_t sent = 0;
  REQUIRE(worker.until([&] {
    if (sent < upload.size()) sent += client.write(std::string_view(upload).substr(sent));
    client.read(1000);
    return client.state() != Peer::Open && sent == upload.size();
  }));
  CHECK(client.state() == Peer::Ended);
  CHECK(client.received() == body);
  client.close();
  CHECK(worker.is_empty());
}

TEST_CASE("direct_response: a client that never closes is let go after a while") {
  SingleWorker worker(answering("bye"));
  TestPeer client = worker.connect();
  const auto begun = std::chrono::steady_clock::now();
  CHECK(worker.sees(client, Peer::Ended));
  CHECK(worker.is_empty());
  CHECK(std::chrono::steady_clock::now() - begun >= 900ms);
  CHECK(worker.listener_metric("connections_cut_total") == 0);
}

TEST_CASE("direct_response: a client that resets at once does no harm") {
  SingleWorker worker(answering("bye"));
  for (int i = 0; i < 20; ++i) {
    TestPeer client(connect_to(worker.listening.address));
    client.reset();
  }
  TestPeer client = worker.connect();
  CHECK(worker.sees(client, Peer::Ended));
  client.close();
  CHECK(worker.is_empty());
}
