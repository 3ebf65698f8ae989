#include "proto/call_table.h"

#include <doctest/doctest.h>

using namespace baton::proto;
using namespace std::chrono_literals;
using Match = CallTable::Match;

namespace {

struct Table {
  std::uint32_t add(std::chrono::milliseconds deadline = 0ms) {
    return table.add(7, [](auto) {}, deadline, now);
  }
  Match answer(std::uint32_t id, bool partial = false, std::uint16_t kind = 7) {
    return table.answer(id, kind, partial, now).match;
  }
  std::uint32_t expired() {
    const auto due = table.take_due(now);
    return due ? due->id : 0;
  }

  CallTable table;
  CallTable::TimePoint now{1000s};
};

}  // namespace

TEST_CASE("calls: a request is answered once") {
  Table t;
  const auto id = t.add();
  CHECK(t.answer(id) == Match::Open);
  CHECK(t.answer(id) == Match::Unknown);
}

TEST_CASE("calls: ids differ, none is 0, and an answer must be of the request's kind") {
  Table t;
  const auto first = t.add();
  const auto second = t.add();
  CHECK(first != 0);
  CHECK(second != first);
  CHECK(t.answer(first, false, 8) == Match::Unknown);
  CHECK(t.answer(first) == Match::Open);
  CHECK(t.answer(second) == Match::Open);
}

TEST_CASE("calls: any number of partial answers, then the final one") {
  Table t;
  const auto id = t.add();
  CHECK(t.answer(id, true) == Match::Open);
  CHECK(t.answer(id, true) == Match::Open);
  CHECK(t.answer(id) == Match::Open);
  CHECK(t.answer(id, true) == Match::Unknown);
}

TEST_CASE("calls: an unusable answer ends the request; the parts after it are late") {
  Table t;
  const auto whole = t.add();
  const auto parts = t.add();
  CHECK(t.table.answer_lost(whole, 7, false, t.now).match == Match::Open);
  CHECK(t.answer(whole) == Match::Unknown);
  CHECK(t.table.answer_lost(parts, 7, true, t.now).match == Match::Open);
  CHECK(t.table.answer_lost(parts, 7, true, t.now).match == Match::Late);
  CHECK(t.answer(parts, true) == Match::Late);
  CHECK(t.answer(parts) == Match::Late);
  CHECK(t.answer(parts) == Match::Unknown);
}

TEST_CASE("calls: deadlines pass in their own order, not that of the requests") {
  Table t;
  const auto late = t.add(30ms);
  const auto early = t.add(10ms);
  const auto never = t.add(0ms);
  const auto middle = t.add(20ms);
  CHECK(t.table.next_due() == t.now + 10ms);
  CHECK(t.expired() == 0);
  t.now += 30ms;
  CHECK(t.expired() == early);
  CHECK(t.expired() == middle);
  CHECK(t.expired() == late);
  CHECK(t.expired() == 0);
  CHECK_FALSE(t.table.next_due());
  t.now += 24h;
  CHECK(t.answer(never) == Match::Open);
}

TEST_CASE("calls: a partial answer restarts the deadline, a final one ends it") {
  Table t;
  const auto id = t.add(10ms);
  t.now += 9ms;
  CHECK(t.answer(id, true) == Match::Open);
  t.now += 9ms;
  CHECK(t.expired() == 0);
  CHECK(t.table.next_due() == t.now + 1ms);
  CHECK(t.answer(id) == Match::Open);
  CHECK_FALSE(t.table.next_due());
}

TEST_CASE("calls: the answer to an expired request is late, once") {
  Table t;
  const auto id = t.add(10ms);
  t.now += 10ms;
  REQUIRE(t.expired() == id);
  CHECK(t.answer(id, false, 8) == Match::Unknown);
  CHECK(t.answer(id, true) == Match::Late);
  CHECK(t.answer(id) == Match::Late);
  CHECK(t.answer(id) == Match::Unknown);
}

TEST_CASE("calls: only so many late ones are remembered, the newest") {
  Table t;
  const auto first = t.add(1ms);
  std::uint32_t last = first;
  for (std::size_t i = 0; i < CallTable::kMaxLate; ++i) last = t.add(1ms);
  t.now += 1ms;
  while (t.expired() != 0) continue;
  CHECK(t.answer(first) == Match::Unknown);
  CHECK(t.answer(first + 1) == Match::Late);
  CHECK(t.answer(last) == Match::Late);
}

TEST_CASE("calls: one that was never sent can be taken back") {
  Table t;
  const auto id = t.add(10ms);
  CHECK(t.table.take(id) != nullptr);
  CHECK(t.table.take(id) == nullptr);
  CHECK_FALSE(t.table.next_due());
  CHECK(t.answer(id) == Match::Unknown);
}

TEST_CASE("calls: what a program before this one has asked is answered late, whatever it was") {
  Table t;
  t.table.go_on_after(5);
  CHECK(t.answer(3) == Match::Late);
  CHECK(t.answer(5) == Match::Late);
  CHECK(t.answer(6) == Match::Unknown);
  const auto id = t.add(10ms);
  CHECK(id == 6);
  CHECK(t.answer(id) == Match::Open);
  CHECK(t.answer(id) == Match::Unknown);
}

TEST_CASE("calls: all are taken in the order they were made") {
  CallTable table;
  std::string order;
  for (const char name : {'a', 'b', 'c'}) {
    table.add(7, [&order, name](auto) { order += name; }, 1ms * name, {});
  }
  for (const auto& handler : table.take_all()) {
    (*handler)(std::unexpected(CallError{CallError::Code::Closed, ""}));
  }
  CHECK(order == "abc");
  CHECK(table.take_all().empty());
  CHECK_FALSE(table.next_due());
}
