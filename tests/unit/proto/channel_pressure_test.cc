// Peers that are slow, silent, full or dead, and limits of the kernel.
#include <doctest/doctest.h>
#include <grp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/in_child.h"
#include "tests/unit/open_fds.h"
#include "tests/unit/proto/channel_rig.h"

using namespace baton;
using namespace baton::proto;
using namespace baton::proto::test;
using Code = CallError::Code;

namespace {

constexpr std::size_t kBulk = 60'000;

// Sends events that nobody reads until something is queued.
void fill(Channel& channel) {
  while (channel.queued_bytes() == 0) channel.notify(START_FAILED, bulky(kBulk));
}

// So many in flight that the kernel takes no more of this user's; it is this process's end.
// Nothing: that could not be done.
std::optional<std::pair<os::UniqueFd, os::UniqueFd>> park_descriptors(int fd) {
  auto parked = make_pair();
  if (!parked) return std::nullopt;
  // The limit binds only the unprivileged.
  if (::geteuid() == 0 &&
      (::setgroups(0, nullptr) != 0 || ::setgid(54321) != 0 || ::setuid(54321) != 0)) {
    return std::nullopt;
  }
  if (!baton::test::leave_free_fds(32)) return std::nullopt;
  const std::vector<int> fds(20, fd);
  const std::string bytes = "x";
  IoStatus status = IoStatus::Done;
  for (int i = 0; i < 100 && status == IoStatus::Done; ++i) {
    status = send_datagram(parked->first.get(), std::as_bytes(std::span(bytes)), fds);
  }
  if (status != IoStatus::Failed || errno != ETOOMANYREFS) return std::nullopt;
  return std::move(*parked);
}

}  // namespace

TEST_CASE("silent peer: deadlines pass in order, the channel lives on, a late answer is ignored") {
  Rig rig;
  std::vector<Responder> waiting;
  rig.answer().handle<Ping>(
      PING, [&](const Ping&, Fds, const Responder& answer) { waiting.push_back(answer); });
  std::string order;
  for (const auto& [name, deadline] : {std::pair{'c', 30ms}, {'a', 1ms}, {'b', 15ms}}) {
    rig.near->request<Done>(PING, Ping(), {}, deadline, [&order, name](const auto& reply, Fds) {
      REQUIRE_FALSE(reply);
      CHECK(reply.error().code == Code::DeadlineExceeded);
      order += name;
    });
  }
  CHECK(rig.run_until([&] { return order.size() == 3 && waiting.size() == 3; }));
  CHECK(order == "abc");

  for (const Responder& late : waiting) late.reply(Done());
  Outcome next;
  rig.near->request<Done>(PING, Ping(), {}, kLong, next.recorder());
  REQUIRE(rig.run_until([&] { return waiting.size() == 4; }));
  waiting.back().reply(Done());
  CHECK(rig.run_until([&] { return next.calls == 1; }));
  CHECK(next.succeeded());
  CHECK(order == "abc");
}

TEST_CASE("silent peer: a request without a deadline waits") {
  Rig rig;
  Outcome patient, other;
  rig.near->request<Done>(PING, Ping(), {}, 0ms, patient.recorder());
  rig.near->request<Done>(PING, Ping(), {}, 5ms, other.recorder());
  CHECK(rig.run_until([&] { return other.calls == 1; }));
  CHECK(patient.calls == 0);
}

TEST_CASE("busy loop: an answer that has arrived counts although its deadline has passed") {
  Rig rig;
  Outcome outcome;
  rig.near->request<Done>(PING, Ping(), {}, 5ms, outcome.recorder());
  rig.send(encode_frame({.kind = PING, .flags = kReply, .id = 1}));
  const auto until = std::chrono::steady_clock::now() + 10ms;
  while (std::chrono::steady_clock::now() < until) continue;  // the loop's thread is elsewhere
  CHECK(rig.run_until([&] { return outcome.calls == 1; }));
  CHECK(outcome.succeeded());
}

TEST_CASE("full peer: messages queue, requests meet their deadlines and are withdrawn") {
  Rig rig;
  fill(*rig.near);
  const auto before = baton::test::open_fds();
  const std::size_t queued = rig.near->queued_bytes();
  const int fds[] = {rig.near->fd()};
  Outcome outcome;
  rig.near->request<Done>(START_FAILED, bulky(100), fds, 5ms, outcome.recorder());
  CHECK(rig.near->queued_bytes() > queued);
  CHECK(baton::test::open_fds().size() == before.size() + 1);
  CHECK(rig.run_until([&] { return outcome.calls == 1; }));
  CHECK(outcome.ended_with(Code::DeadlineExceeded));
  CHECK(rig.near->queued_bytes() == queued);
  CHECK(baton::test::open_fds() == before);
  CHECK(rig.near->open());
}

TEST_CASE("full peer: what was queued arrives in order once it reads again") {
  Rig rig;
  constexpr std::uint64_t kEvents = 2000;
  const int fds[] = {rig.near->fd()};
  for (std::uint64_t i = 0; i < kEvents; ++i) {
    Introduce event;
    event.set_generation(i);
    rig.near->notify(INTRODUCE, event, fds);
  }
  REQUIRE(rig.near->queued_bytes() > 0);
  std::uint64_t next = 0;
  bool ordered = true;
  rig.answer().handle<Introduce>(
      INTRODUCE, [&](const Introduce& m, Fds received, const Responder&) {
        ordered = ordered && m.generation() == next && received.size() == 1;
        ++next;
      });
  CHECK(rig.run_until([&] { return next == kEvents; }));
  CHECK(ordered);
  CHECK(rig.near->queued_bytes() == 0);
}

TEST_CASE("full peer: the queue is bounded in bytes, then the channel closes and frees it") {
  Rig rig;
  Outcome open;
  rig.near->request<Done>(PING, Ping(), {}, kLong, open.recorder());
  int sent = 0;
  for (; rig.near->open() && sent < 1000; ++sent) rig.near->notify(START_FAILED, bulky(kBulk));
  CHECK_FALSE(rig.near->open());
  CHECK(static_cast<std::size_t>(sent) * kBulk > Channel::kMaxQueuedBytes);
  CHECK(rig.near->queued_bytes() == 0);
  CHECK(rig.closed == 0);  // not from within notify()
  CHECK(rig.run_until([&] { return rig.closed == 1; }));
  CHECK(open.ended_with(Code::Closed));
}

TEST_CASE(
    "full peer: running out of descriptors for the queue fails the request, not the process") {
  CHECK(baton::test::in_child([] {
          Rig rig;
          fill(*rig.near);
          const auto before = baton::test::open_fds();
          if (!baton::test::leave_free_fds(3)) return 1;
          const std::vector<int> fds(10, rig.near->fd());
          Outcome outcome;
          rig.near->request<Done>(PING, Ping(), fds, kLong, outcome.recorder());
          if (!rig.run_until([&] { return outcome.calls == 1; })) return 2;
          if (!outcome.ended_with(Code::Failed)) return 3;
          if (!rig.near->open()) return 4;
          if (baton::test::open_fds() != before) return 5;
          // An event has nobody to be reported to but who sends it.
          if (rig.near->notify(PING, Ping(), fds)) return 6;
          rig.settle();
          return rig.near->open() && baton::test::open_fds() == before ? 0 : 7;
        }) == 0);
}

TEST_CASE("full peer: an answer whose descriptors cannot be queued is a failure, once") {
  CHECK(baton::test::in_child([] {
          Rig rig;
          Channel& far = rig.answer();
          Outcome outcome;
          far.handle<SocketKeys>(ESCROW_GET, [&](const SocketKeys&, Fds, const Responder& answer) {
            fill(far);
            baton::test::leave_free_fds(3);
            const std::vector<int> fds(10, far.fd());
            answer.partial(Sockets(), fds);
            answer.reply(Sockets());
          });
          rig.near->request<Sockets>(ESCROW_GET, SocketKeys(), {}, kLong, outcome.recorder());
          if (!rig.run_until([&] { return outcome.calls == 1; })) return 1;
          rig.settle();
          if (!outcome.ended_with(Code::Failed) || outcome.calls != 1) return 2;
          return rig.near->open() && far.open() ? 0 : 3;
        }) == 0);
}

TEST_CASE("too many descriptors in flight: retried until the deadline, and the channel lives on") {
  CHECK(baton::test::in_child([] {
          Rig rig;
          auto parked = park_descriptors(rig.near->fd());
          if (!parked) return 1;
          Outcome refused, accepted;
          const std::vector<int> one{rig.near->fd()};
          rig.near->request<Done>(PING, Ping(), one, 30ms, refused.recorder());
          if (rig.near->queued_bytes() == 0) return 5;
          if (!rig.run_until([&] { return refused.calls == 1; })) return 6;
          if (!refused.ended_with(Code::DeadlineExceeded)) return 7;
          if (!rig.near->open() || rig.near->queued_bytes() != 0) return 8;

          rig.near->request<Done>(PING, Ping(), one, kLong, accepted.recorder());
          parked.reset();  // what was in flight is gone
          rig.answer().handle<Ping>(PING, [](const Ping&, Fds received, const Responder& answer) {
            if (received.size() == 1) answer.reply(Done());
          });
          if (!rig.run_until([&] { return accepted.calls == 1; })) return 9;
          return accepted.succeeded() ? 0 : 10;
        }) == 0);
}

TEST_CASE("too many descriptors in flight: given up at once by who does not want to wait") {
  CHECK(baton::test::in_child([] {
          Rig rig;
          rig.near->give_up_when_crowded();
          auto parked = park_descriptors(rig.near->fd());
          if (!parked) return 1;
          const std::vector<int> one{rig.near->fd()};
          Outcome refused, accepted;
          rig.near->request<Done>(PING, Ping(), one, kLong, refused.recorder());
          if (rig.near->queued_bytes() != 0 || refused.calls != 0) return 2;
          if (!rig.run_until([&] { return refused.calls == 1; })) return 3;
          if (!refused.ended_with(Code::Failed) || !rig.near->open()) return 4;

          parked.reset();
          rig.answer().handle<Ping>(
              PING, [](const Ping&, Fds, const Responder& answer) { answer.reply(Done()); });
          rig.near->request<Done>(PING, Ping(), one, kLong, accepted.recorder());
          if (!rig.run_until([&] { return accepted.calls == 1; })) return 5;
          return accepted.succeeded() ? 0 : 6;
        }) == 0);
}

TEST_CASE("out of descriptors: a message that needs them fails, and the channel lives on") {
  CHECK(baton::test::in_child([] {
          Rig rig;
          Channel& far = rig.answer();
          int events = 0;
          far.handle<Ping>(PING,
                           [](const Ping&, Fds, const Responder& answer) { answer.reply(Done()); });
          far.handle<Introduce>(INTRODUCE,
                                [&](const Introduce&, Fds, const Responder&) { ++events; });
          far.handle<SocketKeys>(ESCROW_GET, [&](const SocketKeys&, Fds, const Responder& answer) {
            const std::vector<int> fds(8, rig.near->fd());
            answer.partial(Sockets(), fds);
            answer.reply(Sockets());
          });
          const std::vector<int> fds(8, rig.near->fd());
          Outcome request, reply, plain;
          rig.near->notify(INTRODUCE, Introduce(), fds);
          rig.near->request<Done>(PING, Ping(), fds, kLong, request.recorder());
          rig.near->request<Sockets>(ESCROW_GET, SocketKeys(), {}, kLong, reply.recorder());
          rig.near->request<Done>(PING, Ping(), {}, kLong, plain.recorder());
          if (!baton::test::leave_free_fds(4)) return 1;
          if (!rig.run_until([&] { return reply.calls == 1 && plain.calls == 1; })) return 2;
          if (!request.ended_with(Code::Failed) || !reply.ended_with(Code::Failed)) return 3;
          if (!plain.succeeded() || events != 0) return 4;
          rig.settle();
          return rig.near->open() && far.open() ? 0 : 5;
        }) == 0);
}

TEST_CASE("dead peer: open requests are answered Closed, then on_close is called, once") {
  Rig rig;
  std::string order;
  rig.near->on_close([&](const std::string&) { order += "close"; });
  for (const char* name : {"a ", "b "}) {
    rig.near->request<Done>(PING, Ping(), {}, kLong, [&order, name](const auto& reply, Fds) {
      CHECK(reply.error().code == Code::Closed);
      order += name;
    });
  }
  rig.far_socket.reset();
  CHECK(rig.run_until([&] { return order.ends_with("close"); }));
  rig.settle();
  CHECK(order == "a b close");
}

TEST_CASE("dead peer: what it sent before is delivered first") {
  // With something of ours unread the kernel reports a reset ahead of what is still to be read;
  // when we send once more it reports the broken pipe. Neither may cost the last words.
  for (const bool leave_unread : {false, true}) {
    for (const bool send_more : {false, true}) {
      CAPTURE(leave_unread);
      CAPTURE(send_more);
      Rig rig;
      std::string order;
      Outcome asked;
      rig.near->handle<Ready>(READY, [&](const Ready&, Fds, const Responder&) { order += "x"; });
      rig.near->on_close([&](const std::string&) { order += " close"; });
      if (leave_unread) rig.near->request<Done>(PING, Ping(), {}, kLong, asked.recorder());
      for (int i = 0; i < 40; ++i) rig.send(encode_frame({.kind = READY}));
      if (leave_unread) rig.send(encode_frame({.kind = PING, .flags = kReply, .id = 1}));
      rig.far_socket.reset();
      if (send_more) rig.near->notify(READY, Ready());
      CHECK(rig.run_until([&] { return order.ends_with("close"); }));
      CHECK(order == std::string(40, 'x') + " close");
      if (leave_unread) CHECK(asked.succeeded());
    }
  }
}

TEST_CASE("half-dead peer: one that has shut its reading side is as good as gone") {
  Rig rig;
  REQUIRE(::shutdown(rig.far_socket.get(), SHUT_RD) == 0);
  rig.near->notify(READY, Ready());
  CHECK(rig.run_until([&] { return rig.closed == 1; }));
}

TEST_CASE("half-dead peer: one that has shut its writing side is gone") {
  Rig rig;
  REQUIRE(::shutdown(rig.far_socket.get(), SHUT_WR) == 0);
  CHECK(rig.run_until([&] { return rig.closed == 1; }));
}

TEST_CASE("no peer: a channel made from nothing reports itself closed, from the loop") {
  Rig rig;
  Channel channel(rig.loop, os::UniqueFd(), "nobody");
  CHECK_FALSE(channel.open());
  int closed = 0;
  channel.on_close([&](const std::string&) { ++closed; });
  CHECK(rig.run_until([&] { return closed == 1; }));
}
