#include "proxy/server/predecessor.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "proxy/server/socket_messages.h"
#include "shared/os/log.h"

namespace baton::proxy {
namespace {

// An old main thread answers within microseconds; one that does not is as good as dead, and the
// escrow answers instead.
constexpr std::chrono::milliseconds kOldAnswerTime{1000};

}  // namespace

Predecessor::Predecessor(EventLoop& loop, os::UniqueFd channel, Events events)
    : channel_(loop.ref(), std::move(channel), "old generation"), events_(std::move(events)) {
  using proto::Fds;
  using proto::Responder;
  channel_.handle<proto::MoveChannels>(
      proto::MOVE_CHANNELS, [this](const proto::MoveChannels&, Fds fds, const Responder&) {
        events_.arriving(std::move(fds), process_);
      });
  channel_.handle<proto::SessionChannels>(
      proto::SESSION_CHANNELS,
      [this](const proto::SessionChannels& message, Fds fds, const Responder&) {
        on_session_channels(message, std::move(fds));
      });
  channel_.on_close([this](const std::string&) { events_.gone(); });
}

void Predecessor::on_session_channels(const proto::SessionChannels& message, proto::Fds fds) {
  if (static_cast<std::size_t>(message.workers_size()) != fds.size()) {
    return channel_.fail("malformed channels for sessions");
  }
  std::vector<SessionChannel> channels;
  for (std::size_t i = 0; i < fds.size(); ++i) {
    channels.push_back({message.workers(static_cast<int>(i)), std::move(fds[i])});
  }
  events_.lending(std::move(channels));
}

void Predecessor::inherit(const proto::Hello& self, std::vector<proto::SocketKey> keys,
                          Inherited inherited) {
  keys_ = std::move(keys);
  inherited_ = std::move(inherited);
  meet(self);
}

void Predecessor::meet(const proto::Hello& self) {
  self_ = self;
  // Nothing waits for one that drains.
  const auto deadline = inherited_ ? kOldAnswerTime : std::chrono::milliseconds(0);
  channel_.request<proto::Hello>(proto::MEET, self_, {}, deadline,
                                 [this](std::expected<proto::Hello, proto::CallError> reply,
                                        proto::Fds) { on_met(std::move(reply)); });
}

void Predecessor::on_met(std::expected<proto::Hello, proto::CallError> reply) {
  if (!reply) return give_up(reply.error().text);
  const auto agreement = proto::negotiate(self_, *reply);
  if (!agreement) return give_up(agreement.error());
  // While it answers it lives, so the number is its own.
  process_.reset(static_cast<int>(::syscall(SYS_pidfd_open, reply->pid(), 0)));
  if (!inherited_) return;
  will_lend_sessions_ = agreement->has(proto::kFeatureSessions);
  if (!agreement->has(proto::kFeatureListeners)) return give_up("it passes no sockets");
  proto::ListenersRequest request;
  for (const proto::SocketKey& key : keys_) *request.add_keys() = key;
  channel_.request_raw(proto::LISTENERS_GET, request, {}, kOldAnswerTime,
                       [this](std::expected<proto::RawReply, proto::CallError> raw) {
                         on_listeners(std::move(raw));
                       });
}

void Predecessor::on_listeners(std::expected<proto::RawReply, proto::CallError> reply) {
  if (!reply) return give_up(reply.error().text);
  proto::Listeners message;
  if (!message.ParseFromArray(reply->body.data(), static_cast<int>(reply->body.size())) ||
      static_cast<std::size_t>(message.sockets_size()) != reply->fds.size()) {
    channel_.close();
    return give_up("malformed list of sockets");
  }
  for (int i = 0; i < message.sockets_size(); ++i) {
    received_.push_back({message.sockets(i), std::move(reply->fds[static_cast<std::size_t>(i)])});
  }
  if (!reply->partial) std::exchange(inherited_, nullptr)(std::move(received_));
}

void Predecessor::give_up(const std::string& why) {
  if (!inherited_) return;
  log::warning("the old generation hands over nothing ({}): using the supervisor's escrow", why);
  received_.clear();
  std::exchange(inherited_, nullptr)({});
}

}  // namespace baton::proxy
