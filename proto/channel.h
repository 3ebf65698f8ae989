// One end of an RPC channel: requests with deadlines, replies (partial and final) and events, each
// with file descriptors, over a non-blocking SOCK_SEQPACKET socket. Never blocks its loop.
//
// Thread: bound to the loop it was made with. Every callback runs there.
// Owns: the socket, queued messages and their descriptors. Borrows: the loop (outlives it).
// Input from the peer never asserts: an unknown kind is answered `unsupported`, anything malformed,
// oversized, or answering a request never made (or already answered) closes the channel.
// No callback is ever called from within a call into the channel: all come from the loop. So a
// channel may be closed or destroyed from within any of its own callbacks. Destroying it drops the
// callbacks still due; close() answers them.
// Messages arrive in the order they were sent; what a closing channel had queued is lost.
// Source: docs/protocol.md.
#pragma once

#include <ev++.h>
#include <google/protobuf/message_lite.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proto/frame.h"
#include "proto/seqpacket.h"
#include "proto/types.pb.h"
#include "shared/os/error.h"
#include "shared/os/unique_fd.h"

namespace baton::proto {

using Fds = std::vector<os::UniqueFd>;

// How a request ended, other than with a reply.
struct CallError {
  enum class Code { Unsupported, Failed, Refused, BadRequest, DeadlineExceeded, Closed, Malformed };
  Code code;
  std::string text;
};

// A reply as it arrived. The fds are its receiver's; `body` is valid during the call.
struct RawReply {
  std::string_view body;
  Fds fds;
  bool partial = false;
};

class Channel;

// What a handler answers with; may be copied, kept and used later, also after the channel has
// closed (then it does nothing). Not answering at all leaves the peer to its deadline. After the
// one final answer (reply or fail) the rest does nothing. The fds are borrowed only for the call.
class Responder {
 public:
  Responder(std::weak_ptr<Channel*> channel, std::uint16_t kind, std::uint32_t id);
  // True for a request, false for an event: then all the following do nothing.
  bool wanted() const { return id_ != 0; }
  // An answer that does not fit into one message (16 MiB, 253 fds) goes out as a failure.
  void reply(const google::protobuf::MessageLite& body, std::span<const int> fds = {}) const;
  void partial(const google::protobuf::MessageLite& body, std::span<const int> fds = {}) const;
  void fail(ErrorReply::Code code, const std::string& text) const;

  // The request it answers, for a program that goes on with the channel in place of this one
  // (Channel::answer_to). Nothing: no answer is wanted any more.
  struct Request {
    int channel_fd = -1;
    std::uint16_t kind = 0;
    std::uint32_t id = 0;
  };
  std::optional<Request> request() const;

 private:
  void send(std::uint16_t flags, const google::protobuf::MessageLite& body,
            std::span<const int> fds) const;

  std::weak_ptr<Channel*> channel_;
  std::uint16_t kind_;
  std::uint32_t id_;
  std::shared_ptr<bool> answered_;  // one for all copies
};

class Channel {
 public:
  using CloseHandler = std::function<void(const std::string& reason)>;
  using RawHandler = std::function<void(std::string_view body, Fds fds, Responder responder)>;
  using RawReplyHandler = std::function<void(std::expected<RawReply, CallError>)>;

  // `name` is the peer's, for the log: "supervisor", "generation 3", "command line".
  Channel(ev::loop_ref loop, os::UniqueFd socket, std::string name);
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  // Called once, when the peer has gone (what it sent before has then been delivered) or the
  // channel was closed for what it sent. Every open request has by then been answered Closed. Not
  // called by close().
  void on_close(CloseHandler handler) { on_close_ = std::move(handler); }

  // Handles messages of one kind. A body that does not parse closes the channel.
  // `handler(const Message&, Fds, Responder)`.
  template <class Message, class Handler>
  void handle(std::uint16_t kind, Handler handler) {
    handle_raw(kind, [this, handler = std::move(handler)](std::string_view body, Fds fds,
                                                          Responder responder) {
      Message message;
      if (!message.ParseFromArray(body.data(), static_cast<int>(body.size()))) {
        fail("malformed body");
        return;
      }
      handler(message, std::move(fds), std::move(responder));
    });
  }
  void handle_raw(std::uint16_t kind, RawHandler handler);

  // Sends a request; `on_reply(std::expected<Reply, CallError>, Fds)` is called exactly once, never
  // from within this call. Partial replies are skipped. The fds are borrowed only for the call.
  // A request that does not fit into one message (16 MiB, 253 fds) ends BadRequest and is not sent;
  // one whose deadline passes while it is still queued is withdrawn.
  template <class Reply, class OnReply>
  void request(std::uint16_t kind, const google::protobuf::MessageLite& body,
               std::span<const int> fds, std::chrono::milliseconds deadline, OnReply on_reply) {
    request_raw(kind, body, fds, deadline,
                [self = std::weak_ptr(self_),
                 on_reply = std::move(on_reply)](std::expected<RawReply, CallError> raw) {
                  if (raw && raw->partial) return;
                  if (!raw) {
                    on_reply(std::expected<Reply, CallError>(std::unexpected(raw.error())), Fds{});
                    return;
                  }
                  Reply reply;
                  if (!reply.ParseFromArray(raw->body.data(), static_cast<int>(raw->body.size()))) {
                    if (const auto channel = self.lock()) (*channel)->fail("malformed reply");
                    on_reply(std::expected<Reply, CallError>(std::unexpected(
                                 CallError{CallError::Code::Malformed, "malformed reply"})),
                             Fds{});
                    return;
                  }
                  on_reply(std::expected<Reply, CallError>(std::move(reply)), std::move(raw->fds));
                });
  }
  // The same with every partial reply too (RawReply::partial): the last call is the one that is an
  // error or not partial. Each reply restarts the deadline; zero is no deadline.
  void request_raw(std::uint16_t kind, const google::protobuf::MessageLite& body,
                   std::span<const int> fds, std::chrono::milliseconds deadline,
                   RawReplyHandler on_reply);

  // The kernel may refuse a request's descriptors because too many are in flight (ETOOMANYREFS in
  // unix(7)). Such a request is tried again until its deadline; from this call on it ends Failed at
  // once, and is not sent.
  void give_up_when_crowded();

  // Sends an event: no answer is expected. One that does not fit into a message is logged as an
  // error and not sent. False: it can never arrive, because the peer has gone or it was not sent.
  bool notify(std::uint16_t kind, const google::protobuf::MessageLite& body,
              std::span<const int> fds = {});

  // An event that the peer gets if this side ends the channel for what went wrong: a peer that only
  // sees it end could not tell that from this process's death. It is sent if there is room for it;
  // what is queued is not. Holds until set anew or cleared.
  void set_last_words(std::uint16_t kind, const google::protobuf::MessageLite& body);
  void clear_last_words();

  // Closes without calling on_close; open requests are answered Closed. Idempotent.
  void close();
  // As close(), but for what the peer did: on_close is called with the reason.
  void fail(const std::string& reason);
  bool open() const;
  // Whether the end was the peer's doing: it has closed its side, or died. Not so when the channel
  // was closed here, be it for what the peer sent.
  bool closed_by_peer() const;
  const std::string& name() const { return name_; }
  int fd() const;
  // A program that replaces this one over an exec may go on with a channel that has nothing queued:
  // it makes one of the same socket, and says which request was the last. Answers to that and to
  // earlier ones are then dropped as late; and those that the peer waits for can be given.
  std::uint32_t last_request() const;
  void go_on_after(std::uint32_t last_request);
  Responder answer_to(std::uint16_t kind, std::uint32_t id) { return {self_, kind, id}; }

  // Bytes queued because the peer does not read; a channel with more than kMaxQueuedBytes, or with
  // more than kMaxQueuedFds descriptors queued, fails.
  std::size_t queued_bytes() const;
  static constexpr std::size_t kMaxQueuedBytes = 16 * 1024 * 1024;
  static constexpr std::size_t kMaxQueuedFds = 16 * 1024;

 private:
  friend class Responder;
  class Impl;  // proto/channel_impl.h
  std::unique_ptr<Impl> impl_;
  std::string name_;
  CloseHandler on_close_;
  std::shared_ptr<Channel*> self_;  // what Responders hold weakly
};

}  // namespace baton::proto
