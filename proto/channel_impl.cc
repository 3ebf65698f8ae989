#include "proto/channel_impl.h"

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

#include "shared/os/check.h"
#include "shared/os/error.h"
#include "shared/os/fd_limit.h"
#include "shared/os/log.h"
#include "shared/os/memfd.h"

namespace baton::proto {
namespace {

// Datagrams handled per wake-up, so that a talkative peer does not starve the loop's other work.
constexpr int kBatch = 16;
// How often, and how long, a message is tried again that the kernel refuses for a shortage of its
// own. A request gives up at its own deadline if that is sooner.
constexpr ev::tstamp kRetrySeconds = 0.01;
constexpr std::chrono::seconds kRetryLimit{10};

CallError::Code to_call_error(ErrorReply::Code code) {
  switch (code) {
    case ErrorReply::UNSUPPORTED:
      return CallError::Code::Unsupported;
    case ErrorReply::REFUSED:
      return CallError::Code::Refused;
    case ErrorReply::BAD_REQUEST:
      return CallError::Code::BadRequest;
    default:
      return CallError::Code::Failed;  // FAILED, and codes of later releases
  }
}

// A message ready to be sent. A body that exceeds a datagram is in `memory`, whose descriptor is
// the last of `fds`; all others are borrowed.
struct Packed {
  std::string bytes;
  std::vector<int> fds;
  os::UniqueFd memory;
};

std::expected<Packed, std::string> pack(Frame head, const google::protobuf::MessageLite& body,
                                        std::span<const int> fds) {
  Packed packed{.bytes = {}, .fds = {fds.begin(), fds.end()}, .memory = {}};
  std::string bytes = body.SerializeAsString();
  if (bytes.size() > kMaxBodyBytes) return std::unexpected("message over 16 MiB");
  if (bytes.size() + kFrameHeadBytes > kMaxDatagramBytes) {
    auto memory = os::create_sealed_memfd("baton-message", bytes);
    if (!memory) return std::unexpected(memory.error().text());
    packed.memory = std::move(*memory);
    packed.fds.push_back(packed.memory.get());
    head.flags |= kInMemory;
    bytes.clear();
  }
  if (packed.fds.size() > kMaxFdsPerMessage) {
    return std::unexpected("more than 253 descriptors in one message");
  }
  head.fds = static_cast<std::uint32_t>(packed.fds.size());
  head.body = bytes;
  packed.bytes = encode_frame(head);
  return packed;
}

// The kernel will take the message later: too many descriptors are in flight, or it has no memory.
bool is_shortage(int error) { return error == ETOOMANYREFS || error == ENOBUFS || error == ENOMEM; }

// Who sent the message is told: the limit is this process's, and the sender knows what it takes.
std::string lost_text() {
  return "descriptors were lost: too many open files, the limit is " +
         std::to_string(os::fd_limit()) + "; raise it (ulimit -n, LimitNOFILE=)";
}

}  // namespace

Channel::Impl::Impl(Channel* owner, ev::loop_ref loop, os::UniqueFd socket)
    : owner_(owner),
      backend_(loop),
      socket_(std::move(socket)),
      read_(loop),
      write_(loop),
      retry_(loop),
      deadline_(loop),
      wake_(loop) {
  read_.set<Impl, &Impl::on_readable>(this);
  write_.set<Impl, &Impl::flush>(this);
  retry_.set<Impl, &Impl::flush>(this);
  deadline_.set<Impl, &Impl::on_deadline>(this);
  wake_.set<Impl, &Impl::on_wake>(this);
  // Before timers: a reply that has arrived counts even when the loop comes late to read it.
  ev_set_priority(static_cast<ev_io*>(&read_), 1);
  if (open()) {
    read_.start(socket_.get(), ev::READ);
  } else {
    lose("there is no socket");
  }
}

void Channel::Impl::handle(std::uint16_t kind, RawHandler handler) {
  handlers_[kind] = std::make_shared<RawHandler>(std::move(handler));
}

// --- Sending ------------------------------------------------------------------------------------

void Channel::Impl::request(std::uint16_t kind, const google::protobuf::MessageLite& body,
                            std::span<const int> fds, std::chrono::milliseconds deadline,
                            RawReplyHandler on_reply) {
  if (!open()) {
    return deliver_later(std::make_shared<RawReplyHandler>(std::move(on_reply)),
                         {CallError::Code::Closed, "the channel is closed"});
  }
  const std::uint32_t id = calls_.add(kind, std::move(on_reply), deadline, Clock::now());
  auto packed = pack({.kind = kind, .id = id}, body, fds);
  if (!packed) {
    return deliver_later(calls_.take(id), {CallError::Code::BadRequest, packed.error()});
  }
  arm_deadline();
  if (const auto taken = transmit(std::move(packed->bytes), packed->fds, id); !taken) {
    refuse(id, taken.error().text());
  }
}

bool Channel::Impl::answer(std::uint16_t kind, std::uint16_t flags, std::uint32_t id,
                           const google::protobuf::MessageLite& body, std::span<const int> fds) {
  if (!open()) return true;
  std::string reason;
  if (const auto packed = pack({.kind = kind, .flags = flags, .id = id}, body, fds); !packed) {
    reason = "the answer does not fit: " + packed.error();
  } else if (const auto taken = transmit(packed->bytes, packed->fds, 0); !taken) {
    reason = "the answer could not be sent: " + taken.error().text();
  } else {
    return true;
  }
  ErrorReply error;
  error.set_code(ErrorReply::FAILED);
  error.set_text(reason);
  if (const auto packed = pack({.kind = kind, .flags = kReply | kError, .id = id}, error, {})) {
    // It needs no descriptor, so that it can be queued.
    static_cast<void>(transmit(packed->bytes, packed->fds, 0));
  }
  return false;
}

bool Channel::Impl::notify(std::uint16_t kind, const google::protobuf::MessageLite& body,
                           std::span<const int> fds) {
  if (!open()) return false;
  auto packed = pack({.kind = kind}, body, fds);
  if (!packed) {
    log::error("{}: event {} not sent: {}", owner_->name_, kind, packed.error());
    return false;
  }
  if (const auto taken = transmit(std::move(packed->bytes), packed->fds, 0); !taken) {
    log::error("{}: event {} not sent: {}", owner_->name_, kind, taken.error().text());
    return false;
  }
  return open() && !peer_gone_;
}

void Channel::Impl::set_last_words(std::uint16_t kind, const google::protobuf::MessageLite& body) {
  const std::string bytes = body.SerializeAsString();
  BATON_CHECK(bytes.size() + kFrameHeadBytes <= kMaxDatagramBytes);
  last_words_ = encode_frame({.kind = kind, .flags = 0, .id = 0, .fds = 0, .body = bytes});
}

// Error: it is neither sent nor queued, and the channel goes on.
os::Result<void> Channel::Impl::transmit(std::string bytes, std::span<const int> fds,
                                         std::uint32_t request) {
  if (peer_gone_) return {};
  if (!queue_.empty()) return enqueue(std::move(bytes), fds, request);
  const IoStatus status = send_datagram(socket_.get(), std::as_bytes(std::span(bytes)), fds);
  const int error = errno;
  const bool crowded = status == IoStatus::Failed && is_shortage(error);
  if (crowded && gives_up_ && request != 0) {
    return os::plain_error(os::error_text(error));
  }
  if (crowded || status == IoStatus::WouldBlock) {
    if (auto queued = enqueue(std::move(bytes), fds, request); !queued) return queued;
  }
  sent(status, error);
  return {};
}

void Channel::Impl::refuse(std::uint32_t request, const std::string& why) {
  const CallTable::Handler handler = calls_.take(request);
  if (!handler) return;
  arm_deadline();
  deliver_later(handler, {CallError::Code::Failed, why});
}

os::Result<void> Channel::Impl::enqueue(std::string bytes, std::span<const int> fds,
                                        std::uint32_t request) {
  if (auto queued = queue_.push(std::move(bytes), fds, request); !queued) return queued;
  if (queue_.bytes() > kMaxQueuedBytes || queue_.fds() > kMaxQueuedFds) {
    fail("does not read: " + std::to_string(queue_.bytes()) + " bytes and " +
         std::to_string(queue_.fds()) + " descriptors queued");
  }
  return {};
}

void Channel::Impl::flush() noexcept {
  const IoStatus status = queue_.flush(socket_.get(), kBatch);
  sent(status, errno);
}

// What becomes of the watchers after a send, or a number of them.
void Channel::Impl::sent(IoStatus status, int error) {
  if (!open()) return;
  if (status == IoStatus::Failed && is_shortage(error)) return retry_later(error);
  refused_since_.reset();
  retry_.stop();
  switch (status) {
    case IoStatus::Done:
    case IoStatus::WouldBlock:
      if (queue_.empty()) {
        write_.stop();
      } else if (!write_.is_active()) {
        write_.start(socket_.get(), ev::WRITE);
      }
      return;
    case IoStatus::Closed:
      peer_gone_ = true;
      queue_.clear();
      write_.stop();
      wake_.start(0.0);
      return;
    case IoStatus::Malformed:
    case IoStatus::FdsLost:
    case IoStatus::Failed:
      return lose("send: " + os::error_text(error));
  }
}

// The socket may well be writable, so that watching it would spin.
void Channel::Impl::retry_later(int error) {
  const auto now = Clock::now();
  if (!refused_since_) refused_since_ = now;
  if (now - *refused_since_ > kRetryLimit) {
    return lose("send: " + os::error_text(error));
  }
  write_.stop();
  retry_.start(kRetrySeconds);
}

// --- Receiving ----------------------------------------------------------------------------------

void Channel::Impl::on_readable() noexcept {
  const std::weak_ptr alive = owner_->self_;
  Datagram datagram;
  for (int i = 0; i < kBatch; ++i) {
    switch (receive_datagram(socket_.get(), datagram)) {
      case IoStatus::Done:
        dispatch(datagram);
        break;
      case IoStatus::FdsLost:
        on_fds_lost(datagram);
        break;
      case IoStatus::WouldBlock:
        if (peer_gone_) lose_to_peer();
        return;
      case IoStatus::Closed:
        return lose_to_peer();
      case IoStatus::Malformed:
        return fail("truncated message");
      case IoStatus::Failed:
        return lose("receive: " + os::error_text(errno));
    }
    if (alive.expired() || !open()) return;
  }
  if (peer_gone_) wake_.start(0.0);
}

// A shortage of this process is no fault of the peer: the message has failed, the channel goes on.
void Channel::Impl::on_fds_lost(const Datagram& datagram) {
  const std::optional<Frame> frame = decode_frame(datagram.bytes);
  if (!frame) return fail("malformed message");
  log::warning("{}: the descriptors of message {} are lost: too many open files", owner_->name_,
               frame->kind);
  if ((frame->flags & kReply) == 0) {
    Responder(owner_->self_, frame->kind, frame->id).fail(ErrorReply::FAILED, lost_text());
    return;
  }
  const CallTable::Answer answer =
      calls_.answer_lost(frame->id, frame->kind, (frame->flags & kPartial) != 0, Clock::now());
  if (answer.match == CallTable::Match::Unknown) return fail("reply to a request never made");
  if (answer.match == CallTable::Match::Late) return;
  arm_deadline();
  (*answer.handler)(std::unexpected(CallError{CallError::Code::Failed, lost_text()}));
}

void Channel::Impl::dispatch(Datagram& datagram) {
  std::optional<Frame> frame = decode_frame(datagram.bytes);
  if (!frame) return fail("malformed message");
  if (frame->fds != datagram.fds.size()) {
    return fail("message announces " + std::to_string(frame->fds) + " descriptors and carries " +
                std::to_string(datagram.fds.size()));
  }
  std::string body;
  if ((frame->flags & kInMemory) != 0) {
    const os::UniqueFd memory = std::move(datagram.fds.back());
    datagram.fds.pop_back();
    auto read = os::read_sealed_memfd(memory.get(), kMaxBodyBytes);
    if (!read) return fail("message in memory: " + read.error().text());
    body = std::move(*read);
    frame->body = body;
  }
  if ((frame->flags & kReply) != 0) {
    on_reply(*frame, std::move(datagram.fds));
  } else {
    on_message(*frame, std::move(datagram.fds));
  }
}

void Channel::Impl::on_message(const Frame& frame, Fds fds) {
  const Responder responder(owner_->self_, frame.kind, frame.id);
  const auto found = handlers_.find(frame.kind);
  if (found == handlers_.end()) {
    log::debug("{}: message of unknown kind {}", owner_->name_, frame.kind);
    responder.fail(ErrorReply::UNSUPPORTED, "unknown message " + std::to_string(frame.kind));
    return;
  }
  const std::shared_ptr<RawHandler> handler = found->second;  // outlives the channel if need be
  (*handler)(frame.body, std::move(fds), responder);
}

void Channel::Impl::on_reply(const Frame& frame, Fds fds) {
  const bool partial = (frame.flags & kPartial) != 0;
  ErrorReply error;
  if ((frame.flags & kError) != 0 &&
      !error.ParseFromArray(frame.body.data(), static_cast<int>(frame.body.size()))) {
    return fail("malformed error reply");
  }
  const CallTable::Answer answer = calls_.answer(frame.id, frame.kind, partial, Clock::now());
  if (answer.match == CallTable::Match::Unknown) return fail("reply to a request never made");
  if (answer.match == CallTable::Match::Late) return;
  arm_deadline();
  if ((frame.flags & kError) != 0) {
    (*answer.handler)(std::unexpected(CallError{to_call_error(error.code()), error.text()}));
  } else {
    (*answer.handler)(RawReply{.body = frame.body, .fds = std::move(fds), .partial = partial});
  }
}

// --- Ending -------------------------------------------------------------------------------------

void Channel::Impl::arm_deadline() {
  const auto due = calls_.next_due();
  if (!due || !open()) return deadline_.stop();
  const std::chrono::duration<double> left = *due - Clock::now();
  deadline_.start(std::max(left.count(), 0.0));
}

void Channel::Impl::on_deadline() noexcept {
  const std::weak_ptr alive = owner_->self_;
  const auto now = Clock::now();
  while (const auto expired = calls_.take_due(now)) {
    if (queue_.withdraw(expired->id) && queue_.empty()) sent(IoStatus::Done, 0);
    (*expired->handler)(std::unexpected(
        CallError{CallError::Code::DeadlineExceeded, owner_->name_ + " did not answer in time"}));
    if (alive.expired()) return;
  }
  arm_deadline();
}

void Channel::Impl::on_wake() noexcept {
  const std::weak_ptr alive = owner_->self_;
  if (peer_gone_ && open()) on_readable();
  if (alive.expired()) return;
  for (Verdict& verdict : std::exchange(verdicts_, {})) {
    (*verdict.handler)(std::unexpected(std::move(verdict.error)));
    if (alive.expired()) return;
  }
  const auto reason = std::exchange(close_reason_, std::nullopt);
  if (!reason) return;
  const CloseHandler handler = std::exchange(owner_->on_close_, nullptr);
  if (handler) handler(*reason);
}

void Channel::Impl::close() {
  close_reason_.reset();
  if (!open()) return;
  close_socket();
  end_calls("the channel was closed");
}

void Channel::Impl::fail(const std::string& reason) {
  if (!open()) return;
  log::warning("{}: channel closed: {}", owner_->name_, reason);
  say_last_words();
  close_socket();
  close_reason_ = reason;
  end_calls(reason);
}

// As fail(), for ends that are no fault of what the peer sent.
void Channel::Impl::lose(const std::string& reason) {
  log::debug("{}: {}", owner_->name_, reason);
  say_last_words();
  close_socket();
  close_reason_ = reason;
  end_calls(reason);
}

void Channel::Impl::lose_to_peer() {
  closed_by_peer_ = true;
  lose("has closed the channel");
}

void Channel::Impl::say_last_words() {
  if (last_words_.empty() || peer_gone_ || closed_by_peer_) return;
  send_datagram(socket_.get(), std::as_bytes(std::span(last_words_)), {});
}

void Channel::Impl::end_calls(const std::string& reason) {
  for (CallTable::Handler& handler : calls_.take_all()) {
    verdicts_.push_back({std::move(handler), {CallError::Code::Closed, reason}});
  }
  wake_.start(0.0);
}

void Channel::Impl::deliver_later(CallTable::Handler handler, CallError error) {
  verdicts_.push_back({std::move(handler), std::move(error)});
  wake_.start(0.0);
}

void Channel::Impl::close_socket() {
  read_.stop();
  write_.stop();
  retry_.stop();
  deadline_.stop();
  queue_.clear();
  backend_.forget(socket_.get());
  socket_.reset();
}

}  // namespace baton::proto
