// A loop with two ends of a channel: `near` is under test; the far one is either a Channel too, or
// a bare socket, a peer that does whatever the test wants.
#pragma once

#include <doctest/doctest.h>
#include <ev++.h>

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "proto/channel.h"
#include "proto/generation.pb.h"
#include "proto/seqpacket.h"

namespace baton::proto::test {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

inline constexpr milliseconds kLong = 10s;  // a deadline that only a broken test reaches

class Rig {
 public:
  Rig() {
    auto ends = make_pair();
    REQUIRE(ends);
    near = std::make_unique<Channel>(loop, std::move(ends->first), "far");
    far_socket = std::move(ends->second);
    near->on_close([this](const std::string& reason) {
      ++closed;
      close_reason = reason;
    });
  }

  // Puts a Channel on the far end.
  Channel& answer() {
    far = std::make_unique<Channel>(loop, std::move(far_socket), "near");
    return *far;
  }

  // Runs the loop until `done`; false: it did not come true within the long deadline.
  template <class Done>
  bool run_until(Done done) {
    bool expired = false;
    ev::timer guard(loop);
    guard.set<&set_true>(&expired);
    guard.start(std::chrono::duration<double>(kLong).count());
    while (!done() && !expired) loop.run(ev::ONCE);
    return done();
  }
  // Runs what is due by now, to see that nothing else happens.
  void settle() {
    for (int i = 0; i < 20; ++i) loop.run(ev::NOWAIT);
  }

  IoStatus send(std::string_view bytes, std::span<const int> fds = {}) {
    return send_datagram(far_socket.get(), std::as_bytes(std::span(bytes)), fds);
  }

  ev::dynamic_loop loop{static_cast<unsigned>(ev::EPOLL)};
  std::unique_ptr<Channel> near;
  std::unique_ptr<Channel> far;
  os::UniqueFd far_socket;
  int closed = 0;
  std::string close_reason;

 private:
  static void set_true(ev::timer& timer, int) { *static_cast<bool*>(timer.data) = true; }
};

// Records how a request ended.
struct Outcome {
  int calls = 0;
  std::optional<CallError> error;

  auto recorder() {
    return [this](const auto& reply, Fds) {
      ++calls;
      if (!reply) error = reply.error();
    };
  }
  bool ended_with(CallError::Code code) const { return calls == 1 && error && error->code == code; }
  bool succeeded() const { return calls == 1 && !error; }
};

// A message with a body of about `bytes` bytes.
inline StartFailed bulky(std::size_t bytes) {
  StartFailed message;
  message.set_reason(std::string(bytes, 'x'));
  return message;
}

}  // namespace baton::proto::test
