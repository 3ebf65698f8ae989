#include "proxy/worker/slot.h"

#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/fixture/loop_driver.h"

using namespace baton::fixture;
using baton::proxy::EventLoop;
using baton::proxy::Slot;

namespace {

// Says when it goes.
struct Snapshot {
  explicit Snapshot(int number, std::atomic<int>& alive_count) : value(number), alive(alive_count) {
    ++alive;
  }
  ~Snapshot() { --alive; }
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;
  const int value;
  std::atomic<int>& alive;
};

}  // namespace

TEST_CASE(
    "slot: a worker sees the new value from its next iteration on, the others still the old") {
  EventLoop first;
  EventLoop second;
  EventLoop* const loops[] = {&first, &second};
  Slot<int> slot(loops, std::make_shared<const int>(1));
  CHECK(*slot.get(0) == 1);
  CHECK(*slot.get(1) == 1);
  slot.set(std::make_shared<const int>(2));
  CHECK(*slot.get(0) == 1);
  settle(first);
  CHECK(*slot.get(0) == 2);
  CHECK(*slot.get(1) == 1);
  settle(second);
  CHECK(*slot.get(1) == 2);
}

TEST_CASE("slot: an old snapshot is freed when the last worker has let go") {
  std::atomic<int> alive = 0;
  EventLoop first;
  EventLoop second;
  EventLoop* const loops[] = {&first, &second};
  Slot<Snapshot> slot(loops, std::make_shared<const Snapshot>(1, alive));
  slot.set(std::make_shared<const Snapshot>(2, alive));
  CHECK(alive == 2);
  settle(first);
  CHECK(alive == 2);
  settle(second);
  CHECK(alive == 1);
}

TEST_CASE("slot: readers on their threads never see a value go backwards or half written") {
  constexpr int kVersions = 2000;
  std::atomic<int> alive = 0;
  std::vector<std::unique_ptr<EventLoop>> loops;
  std::vector<EventLoop*> borrowed;
  for (int i = 0; i < 3; ++i) {
    borrowed.push_back(loops.emplace_back(std::make_unique<EventLoop>()).get());
  }
  Slot<Snapshot> slot(borrowed, std::make_shared<const Snapshot>(0, alive));
  std::atomic<int> failures = 0;
  std::vector<std::thread> workers;
  for (std::size_t i = 0; i < loops.size(); ++i) {
    workers.emplace_back([&, i] {
      struct Reader {
        Slot<Snapshot>& slot;
        std::size_t index;
        std::atomic<int>& failures;
        EventLoop& loop;
        int last = 0;
        void read(ev::idle&, int) {
          const std::shared_ptr<const Snapshot> snapshot = slot.get(index);
          if (snapshot->value < last) ++failures;
          last = snapshot->value;
          if (last == kVersions) loop.ref().break_loop();
        }
      } reader{slot, i, failures, *loops[i]};
      ev::idle idle(loops[i]->ref());
      idle.set<Reader, &Reader::read>(&reader);
      idle.start();
      loops[i]->run();
    });
  }
  for (int version = 1; version <= kVersions; ++version) {
    slot.set(std::make_shared<const Snapshot>(version, alive));
  }
  for (std::thread& worker : workers) worker.join();
  CHECK(failures == 0);
  CHECK(alive == 1);
}
