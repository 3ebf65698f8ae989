#include "supervisor/control_server.h"

#include <doctest/doctest.h>
#include <poll.h>

#include <algorithm>
#include <list>
#include <memory>
#include <vector>

#include "proto/frame.h"
#include "proto/seqpacket.h"
#include "supervisor/control_socket.h"
#include "temporary_directory.h"
#include "tests/unit/proto/channel_rig.h"

namespace baton::supervisor {
namespace {

using proto::CallError;
using proto::Responder;

// Answers `status` at once, and `stop` never by itself.
class Handler final : public ControlHandler {
 public:
  void reload(const proto::ReloadRequest&, const Responder&) override {}
  void rollback(const proto::ReloadRequest&, const Responder&) override {}
  void retune_drain(const proto::RetuneDrainRequest&, const Responder&) override {}
  void status(const Responder& client) override {
    ++calls;
    client.reply(proto::StatusReply());
  }
  void stats(const proto::StatsRequest&, const Responder&) override {}
  void stop(const proto::StopRequest&, const Responder& client) override {
    ++calls;
    stopping.push_back(client);
  }
  void reopen_logs(const Responder&) override {}
  void come_back(const proto::ComeBack&, proto::Fds, pid_t, const Responder&) override {}
  void upgrade(const proto::UpgradeRequest&, const Responder&) override {}

  std::size_t calls = 0;
  std::vector<Responder> stopping;
};

// A command line that reads what it is answered.
struct Guest {
  Guest(ev::loop_ref loop, os::UniqueFd socket) : channel(loop, std::move(socket), "supervisor") {
    channel.on_close([this](const std::string&) { closed = true; });
  }
  proto::test::Outcome& ask(proto::ControlKind kind) {
    proto::test::Outcome& outcome = asked.emplace_back();
    channel.request<proto::Empty>(static_cast<std::uint16_t>(kind), proto::Empty(), {},
                                  proto::test::kLong, outcome.recorder());
    return outcome;
  }

  proto::Channel channel;
  std::list<proto::test::Outcome> asked;
  bool closed = false;
};

struct Claimed {
  ~Claimed() { release_control_socket(fds, socket); }

  TemporaryDirectory directory;
  FdTable fds;
  ControlSocket socket =
      claim_control_socket(fds, directory / "control.sock", "", MissingDirectory::Refuse).value();
};

struct Served : Claimed {
  os::UniqueFd connect() { return connect_control_socket(socket.path).value().socket; }
  std::unique_ptr<Guest> guest() { return std::make_unique<Guest>(rig.loop, connect()); }
  bool succeeds(Guest& guest) {
    const proto::test::Outcome& outcome = guest.ask(proto::STATUS);
    return rig.run_until([&] { return outcome.calls > 0; }) && outcome.succeeded();
  }
  bool is_waiting(Guest& guest) {
    guest.ask(proto::STOP);
    return rig.run_until([&, before = handler.calls] { return handler.calls > before; });
  }

  proto::test::Rig rig;
  Handler handler;
  ControlServer server{rig.loop, fds.get(socket.listener), "", handler};
};

TEST_CASE("control server: of those who wait for nothing, the longest silent makes place") {
  Served at;
  std::vector<std::unique_ptr<Guest>> guests;
  for (std::size_t i = 0; i < ControlServer::kMaxClients; ++i) {
    guests.push_back(at.guest());
    REQUIRE(at.succeeds(*guests.back()));
  }
  REQUIRE(at.succeeds(*guests.front()));
  const auto late = at.guest();
  CHECK(at.succeeds(*late));
  CHECK(at.rig.run_until([&] { return guests[1]->closed; }));
  CHECK(std::ranges::count_if(guests, [](const auto& each) { return each->closed; }) == 1);
}

TEST_CASE("control server: who waits for an answer keeps the place until it is there") {
  Served at;
  std::vector<std::unique_ptr<Guest>> guests;
  for (std::size_t i = 0; i < ControlServer::kMaxClients; ++i) {
    guests.push_back(at.guest());
    REQUIRE(at.is_waiting(*guests.back()));
  }
  auto late = at.guest();
  const proto::test::Outcome& refused = late->ask(proto::STATUS);
  REQUIRE(at.rig.run_until([&] { return refused.calls > 0; }));
  CHECK(refused.ended_with(CallError::Code::Refused));
  CHECK(refused.error->text.starts_with("busy"));
  late.reset();
  at.rig.settle();
  at.handler.stopping[7].reply(proto::CommandReply());
  late = at.guest();
  CHECK(at.succeeds(*late));
  CHECK(at.rig.run_until([&] { return guests[7]->closed; }));
  CHECK(guests[7]->asked.back().succeeded());
  CHECK(std::ranges::count_if(guests, [](const auto& each) { return each->closed; }) == 1);
}

TEST_CASE("control server: one who asks on and does not read, or wait for, the answers is cut") {
  for (const proto::ControlKind kind : {proto::STATUS, proto::STOP}) {
    CAPTURE(kind);
    Served at;
    const os::UniqueFd client = at.connect();
    for (std::uint32_t id = 1; id <= ControlServer::kMostRequests + 1; ++id) {
      const std::string request = proto::encode_frame(
          {.kind = static_cast<std::uint16_t>(kind), .flags = 0, .id = id, .fds = 0, .body = {}});
      REQUIRE(proto::send_datagram(client.get(), std::as_bytes(std::span(request)), {}) ==
              proto::IoStatus::Done);
    }
    const auto is_cut = [&] {
      pollfd end{.fd = client.get(), .events = 0, .revents = 0};
      return ::poll(&end, 1, 0) == 1 && (end.revents & POLLHUP) != 0;
    };
    CHECK(at.rig.run_until(is_cut));
    CHECK(at.handler.calls == ControlServer::kMostRequests);
  }
}

TEST_CASE("control server: one who reads may ask as often as it likes") {
  Served at;
  const auto guest = at.guest();
  for (std::size_t i = 0; i < 3 * ControlServer::kMostRequests; ++i) {
    REQUIRE(at.succeeds(*guest));
  }
  CHECK_FALSE(guest->closed);
}

TEST_CASE("control server: an event is not carried out") {
  Served at;
  const auto guest = at.guest();
  guest->channel.notify(proto::STOP, proto::StopRequest());
  CHECK(at.succeeds(*guest));
  CHECK(at.handler.stopping.empty());
}

}  // namespace
}  // namespace baton::supervisor
