// The command line's end of the control socket: one request at a time, on a loop of its own.
// Thread: main. Owns: the loop and the channel.
#pragma once

#include <ev++.h>

#include <chrono>
#include <expected>
#include <functional>
#include <memory>
#include <string>

#include "proto/channel.h"
#include "proto/control.pb.h"

namespace baton::supervisor {

// Why a command could not be carried out, and the exit status that says so.
struct ClientError {
  int exit_status;
  std::string text;
};

class Client {
 public:
  struct Reply {
    std::string body;
    proto::Fds fds;
  };
  using OnPartial = std::function<void(std::string_view body)>;

  static std::expected<std::unique_ptr<Client>, ClientError> connect(const std::string& path);

  // Runs until the final reply. A deadline of zero: for as long as it takes; each partial reply
  // begins it anew.
  std::expected<Reply, ClientError> call(proto::ControlKind kind,
                                         const google::protobuf::MessageLite& request,
                                         std::chrono::milliseconds deadline,
                                         const OnPartial& on_partial = {});
  // The same for a final reply without descriptors.
  template <class Message>
  std::expected<Message, ClientError> ask(proto::ControlKind kind,
                                          const google::protobuf::MessageLite& request,
                                          std::chrono::milliseconds deadline,
                                          const OnPartial& on_partial = {}) {
    const auto reply = call(kind, request, deadline, on_partial);
    if (!reply) return std::unexpected(reply.error());
    Message message;
    if (!message.ParseFromString(reply->body)) return std::unexpected(malformed());
    return message;
  }

  // Waits until the process that served this client has ended. False: it has not within the limit.
  bool wait_for_end(std::chrono::milliseconds limit) const;

 private:
  Client(os::UniqueFd socket, os::UniqueFd pidfd);
  static ClientError malformed();

  os::UniqueFd pidfd_;
  ev::dynamic_loop loop_;
  proto::Channel channel_;
};

}  // namespace baton::supervisor
