#include "proto/channel.h"

#include <google/protobuf/stubs/logging.h>

#include "proto/channel_impl.h"

namespace baton::proto {

Channel::Channel(ev::loop_ref loop, os::UniqueFd socket, std::string name)
    : name_(std::move(name)), self_(std::make_shared<Channel*>(this)) {
  // protobuf would print what it cannot parse; the channel says so itself, once.
  [[maybe_unused]] static const auto silenced = google::protobuf::SetLogHandler(nullptr);
  impl_ = std::make_unique<Impl>(this, loop, std::move(socket));
}

// First of all nobody may find the channel any more: handlers are destroyed with it and may own
// Responders, or things that use them as they go.
Channel::~Channel() { self_.reset(); }

void Channel::handle_raw(std::uint16_t kind, RawHandler handler) {
  impl_->handle(kind, std::move(handler));
}

void Channel::request_raw(std::uint16_t kind, const google::protobuf::MessageLite& body,
                          std::span<const int> fds, std::chrono::milliseconds deadline,
                          RawReplyHandler on_reply) {
  impl_->request(kind, body, fds, deadline, std::move(on_reply));
}

bool Channel::notify(std::uint16_t kind, const google::protobuf::MessageLite& body,
                     std::span<const int> fds) {
  return impl_->notify(kind, body, fds);
}

void Channel::close() { impl_->close(); }
void Channel::fail(const std::string& reason) { impl_->fail(reason); }
bool Channel::open() const { return impl_->open(); }
bool Channel::closed_by_peer() const { return impl_->closed_by_peer(); }
int Channel::fd() const { return impl_->fd(); }
void Channel::give_up_when_crowded() { impl_->give_up_when_crowded(); }

void Channel::set_last_words(std::uint16_t kind, const google::protobuf::MessageLite& body) {
  impl_->set_last_words(kind, body);
}

void Channel::clear_last_words() { impl_->clear_last_words(); }
std::size_t Channel::queued_bytes() const { return impl_->queued_bytes(); }

std::uint32_t Channel::last_request() const { return impl_->last_request(); }
void Channel::go_on_after(std::uint32_t last_request) { impl_->go_on_after(last_request); }

// --- Responder ----------------------------------------------------------------------------------

Responder::Responder(std::weak_ptr<Channel*> channel, std::uint16_t kind, std::uint32_t id)
    : channel_(std::move(channel)),
      kind_(kind),
      id_(id),
      answered_(id == 0 ? nullptr : std::make_shared<bool>(false)) {}

void Responder::reply(const google::protobuf::MessageLite& body, std::span<const int> fds) const {
  send(kReply, body, fds);
}

void Responder::partial(const google::protobuf::MessageLite& body, std::span<const int> fds) const {
  send(kReply | kPartial, body, fds);
}

void Responder::fail(ErrorReply::Code code, const std::string& text) const {
  ErrorReply error;
  error.set_code(code);
  error.set_text(text);
  send(kReply | kError, error, {});
}

std::optional<Responder::Request> Responder::request() const {
  const std::shared_ptr<Channel*> channel = channel_.lock();
  if (!wanted() || *answered_ || !channel || !(*channel)->open()) return std::nullopt;
  return Request{.channel_fd = (*channel)->fd(), .kind = kind_, .id = id_};
}

void Responder::send(std::uint16_t flags, const google::protobuf::MessageLite& body,
                     std::span<const int> fds) const {
  if (!wanted() || *answered_) return;
  const std::shared_ptr<Channel*> channel = channel_.lock();
  if (!channel) return;
  const bool failed = !(*channel)->impl_->answer(kind_, flags, id_, body, fds);
  *answered_ = failed || (flags & kPartial) == 0;
}

}  // namespace baton::proto
