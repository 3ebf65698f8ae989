// The works of a Channel: what it sends and receives, its open requests and its end.
//
//   sending   transmit ─► the socket, or the queue when it would block ─► flush, on writable
//   receiving on_readable ─► dispatch ─► on_message ─► handler, or on_reply ─► reply handler
//   ending    close, fail or lose: the socket is closed at once, callbacks follow from on_wake
//
// Thread: bound to the loop.
// Owns: the socket and the queue. Borrows: the loop, and the channel that owns this.
// Invariant: user code runs only in on_readable, on_deadline and on_wake, and whoever ran it looks
// whether the channel is still there.
#pragma once

#include <ev++.h>

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "proto/call_table.h"
#include "proto/channel.h"
#include "proto/send_queue.h"
#include "shared/os/loop_backend.h"

namespace baton::proto {

class Channel::Impl {
 public:
  Impl(Channel* owner, ev::loop_ref loop, os::UniqueFd socket);
  ~Impl() { close_socket(); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void handle(std::uint16_t kind, RawHandler handler);
  void request(std::uint16_t kind, const google::protobuf::MessageLite& body,
               std::span<const int> fds, std::chrono::milliseconds deadline,
               RawReplyHandler on_reply);
  // False: it could not be sent, which has been answered instead.
  bool answer(std::uint16_t kind, std::uint16_t flags, std::uint32_t id,
              const google::protobuf::MessageLite& body, std::span<const int> fds);
  bool notify(std::uint16_t kind, const google::protobuf::MessageLite& body,
              std::span<const int> fds);

  void give_up_when_crowded() { gives_up_ = true; }
  void set_last_words(std::uint16_t kind, const google::protobuf::MessageLite& body);
  void clear_last_words() { last_words_.clear(); }

  void close();
  void fail(const std::string& reason);
  bool open() const { return socket_.valid(); }
  bool closed_by_peer() const { return closed_by_peer_; }
  int fd() const { return socket_.get(); }
  std::size_t queued_bytes() const { return queue_.bytes(); }
  std::uint32_t last_request() const { return calls_.last_id(); }
  void go_on_after(std::uint32_t request) { calls_.go_on_after(request); }

 private:
  using Clock = std::chrono::steady_clock;
  // A request that ends without a reply.
  struct Verdict {
    CallTable::Handler handler;
    CallError error;
  };

  os::Result<void> transmit(std::string bytes, std::span<const int> fds, std::uint32_t request);
  void refuse(std::uint32_t request, const std::string& why);
  os::Result<void> enqueue(std::string bytes, std::span<const int> fds, std::uint32_t request);
  void flush() noexcept;
  void sent(IoStatus status, int error);
  void retry_later(int error);

  void on_readable() noexcept;
  void dispatch(Datagram& datagram);
  void on_fds_lost(const Datagram& datagram);
  void on_message(const Frame& frame, Fds fds);
  void on_reply(const Frame& frame, Fds fds);

  void arm_deadline();
  void on_deadline() noexcept;
  void on_wake() noexcept;
  void lose(const std::string& reason);
  void lose_to_peer();
  void say_last_words();
  void end_calls(const std::string& reason);
  void deliver_later(CallTable::Handler handler, CallError error);
  void close_socket();

  Channel* const owner_;
  os::LoopBackend backend_;
  std::map<std::uint16_t, std::shared_ptr<RawHandler>> handlers_;
  CallTable calls_;
  SendQueue queue_;
  std::optional<Clock::time_point> refused_since_;  // the kernel refuses the front's descriptors
  bool gives_up_ = false;                           // give_up_when_crowded()
  bool closed_by_peer_ = false;
  std::string last_words_;         // a message without descriptors; empty: none
  bool peer_gone_ = false;         // sending says so; what is still to be read is delivered first
  std::vector<Verdict> verdicts_;  // requests that end without a reply, for on_wake()
  std::optional<std::string> close_reason_;  // on_close is due, for on_wake()

  os::UniqueFd socket_;
  ev::io read_;
  ev::io write_;        // active only while something is queued
  ev::timer retry_;     // active only while refused_since_ is set
  ev::timer deadline_;  // the nearest one
  ev::timer wake_;      // fires at once: what must not happen inside a call into the channel
};

}  // namespace baton::proto
