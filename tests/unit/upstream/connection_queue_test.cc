#include "proxy/upstream/connection_queue.h"

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <utility>

#include "proxy/worker/event_loop.h"
#include "tests/unit/fixture/loop_driver.h"

using namespace baton::fixture;
using namespace baton::proxy;

namespace {

// Two workers in one thread that share a cluster of one connection, which is taken.
struct OnePlace {
  struct Request final : ConnectionQueue::Waiter {
    Request(OnePlace& rig, EventLoop& loop, char letter)
        : rig(rig), letter(letter), ticket(rig.queue.wait(loop, *this)) {}
    ~Request() { rig.queue.leave(*ticket); }
    void on_place(CircuitGuard given) override {
      place = std::move(given);
      rig.turns += letter;
    }

    OnePlace& rig;
    char letter;
    CircuitGuard place;
    std::shared_ptr<ConnectionQueue::Ticket> ticket;
  };

  // What is posted by now has been done.
  void run() {
    for (EventLoop* const loop : {&one, &two}) settle(*loop);
  }

  EventLoop one;
  EventLoop two;
  CircuitBreaker breaker{CircuitLimits{.connections = 1}};
  ConnectionQueue queue{breaker};
  std::string turns;
  CircuitGuard taken = breaker.try_acquire(Circuit::Connections);
};

}  // namespace

TEST_CASE("connection queue: places go to those who wait in their order, whichever the worker") {
  OnePlace rig;
  OnePlace::Request a(rig, rig.one, 'a');
  OnePlace::Request b(rig, rig.two, 'b');
  OnePlace::Request c(rig, rig.one, 'c');
  rig.run();
  CHECK(rig.turns.empty());
  rig.taken = {};
  rig.run();
  CHECK(rig.turns == "a");
  a.place = {};
  rig.run();
  CHECK(rig.turns == "ab");
  CHECK(rig.breaker.in_use(Circuit::Connections) == 1);
  b.place = {};
  rig.run();
  CHECK(rig.turns == "abc");
  CHECK(rig.queue.empty());
}

TEST_CASE("connection queue: whoever comes when a place is free gets it") {
  OnePlace rig;
  rig.taken = {};
  OnePlace::Request a(rig, rig.one, 'a');
  rig.run();
  CHECK(rig.turns == "a");
}

TEST_CASE("connection queue: one that leaves is passed over, also when its turn is on its way") {
  OnePlace rig;
  auto a = std::make_unique<OnePlace::Request>(rig, rig.one, 'a');
  auto b = std::make_unique<OnePlace::Request>(rig, rig.one, 'b');
  OnePlace::Request c(rig, rig.two, 'c');
  a.reset();
  rig.taken = {};  // b's now
  b.reset();
  rig.run();
  CHECK(rig.turns == "c");
  CHECK(rig.breaker.in_use(Circuit::Connections) == 1);
}

TEST_CASE("connection queue: one that leaves for good leaves its place free") {
  OnePlace rig;
  auto a = std::make_unique<OnePlace::Request>(rig, rig.one, 'a');
  rig.taken = {};
  a.reset();
  rig.run();
  CHECK(rig.turns.empty());
  CHECK(rig.breaker.in_use(Circuit::Connections) == 0);
}
