#include "proxy/server/successor.h"

#include "proto/negotiation.h"
#include "proto/succession.pb.h"
#include "proxy/server/socket_messages.h"
#include "shared/os/log.h"

namespace baton::proxy {

Successor::Successor(EventLoop& loop, os::UniqueFd channel, proto::Hello self,
                     const ListeningSockets& sockets, Events events)
    : channel_(loop.ref(), std::move(channel), "next generation"),
      self_(std::move(self)),
      sockets_(sockets),
      events_(std::move(events)) {
  channel_.on_close([this](const std::string&) { events_.gone(); });
  channel_.handle<proto::Hello>(
      proto::MEET, [this](const proto::Hello& hello, proto::Fds, const proto::Responder& answer) {
        const auto agreement = proto::negotiate(self_, hello);
        if (!agreement) {
          answer.fail(proto::ErrorReply::REFUSED, agreement.error());
          return;
        }
        takes_connections_ = agreement->has(proto::kFeatureMove);
        borrows_sessions_ = agreement->has(proto::kFeatureSessions);
        workers_ = hello.workers();
        log::debug("generation {} ({}) introduced itself", hello.generation(), hello.build());
        answer.reply(self_);
        events_.met();
      });
  channel_.handle<proto::ListenersRequest>(
      proto::LISTENERS_GET,
      [this](const proto::ListenersRequest& request, proto::Fds, const proto::Responder& answer) {
        std::vector<const ListeningSocket*> asked;
        for (const proto::SocketKey& key : request.keys()) {
          for (const ListeningSocket* socket : sockets_.of(key)) asked.push_back(socket);
        }
        send_in_parts<proto::Listeners>(
            asked, [&answer](const proto::Listeners& part, std::span<const int> fds, bool last) {
              if (last) {
                answer.reply(part, fds);
              } else {
                answer.partial(part, fds);
              }
            });
      });
}

void Successor::send_channels(std::vector<os::UniqueFd> channels) {
  std::vector<int> fds;
  for (const os::UniqueFd& channel : channels) fds.push_back(channel.get());
  channel_.notify(proto::MOVE_CHANNELS, proto::MoveChannels(), fds);
}

void Successor::send_session_channels(std::vector<SessionChannel> channels) {
  proto::SessionChannels message;
  std::vector<int> fds;
  for (const SessionChannel& channel : channels) {
    message.add_workers(channel.worker);
    fds.push_back(channel.fd.get());
  }
  channel_.notify(proto::SESSION_CHANNELS, message, fds);
}

}  // namespace baton::proxy
