#include "proxy/http/connection_manager/tunnel.h"

#include <algorithm>
#include <utility>

#include "proxy/network/tunnel_state.h"

namespace baton::proxy::http {
namespace {

using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Of counts that may come from another process.
std::uint64_t difference(std::uint64_t now, std::uint64_t before) {
  return now - std::min(now, before);
}

}  // namespace

Tunnel::Tunnel(NetworkFilterCallbacks& callbacks, HttpContext& context, Cluster* cluster)
    : callbacks_(callbacks), context_(context), bytes_(callbacks, context.clusters, cluster) {
  idle_timeout_.set<Tunnel, &Tunnel::on_idle>(this);
}

void Tunnel::open(Opening opening) {
  if (opening.record) {
    const LegState& client = callbacks_.tunnel().downstream;
    opening.record->received_before = difference(client.received_bytes, opening.waiting_bytes);
    opening.record->sent_before = client.sent_bytes + client.unsent.size();
    record_ = std::move(opening.record);
  }
  idle_queue_ = opening.idle_timeout;
  watch();
  UpstreamRequest::Tunnel& upstream = opening.upstream;
  bytes_.adopt(std::move(upstream.leg), std::move(upstream.endpoint), std::move(upstream.circuit));
  if (!upstream.received.empty()) callbacks_.write(upstream.received, EndOfStream::No);
  if (upstream.failed) bytes_.end_failed();
}

void Tunnel::on_data(Buffer& data, EndOfStream end) {
  static_cast<void>(bytes_.on_data(data, end));
}

// Bytes that pass do not touch the timeout; it looks back when it fires.
void Tunnel::watch() {
  seems_idle_ = false;
  if (idle_queue_ != nullptr) idle_queue_->arm(idle_timeout_);
}

// As Session::on_idle_timer(), which leaves tunnels to this one.
void Tunnel::on_idle() {
  const TunnelState& tunnel = callbacks_.tunnel();
  const auto last = tunnel.last_activity();
  if (CoarseClock::now() - last < idle_queue_->time()) {
    seems_idle_ = false;
    waiting_then_ = 0;
    return idle_queue_->arm(idle_timeout_, last);
  }
  if (!std::exchange(seems_idle_, true)) {
    return context_.worker.timeouts().of(kTimeToRead).arm(idle_timeout_);
  }
  const bool is_whole = tunnel.is_whole();
  if (!is_whole) {
    const std::uint32_t waiting = tunnel.waiting_bytes();
    if (std::exchange(waiting_then_, waiting) != waiting) return watch();
  }
  idle_ = true;
  callbacks_.close(is_whole ? CloseMode::Now : CloseMode::Reset);
}

void Tunnel::on_close(CloseMode mode, CloseCause cause) {
  idle_timeout_.disarm();
  write_log(mode, cause);
  bytes_.on_close(mode, cause);
}

ResponseFlags Tunnel::flags(CloseMode mode, CloseCause cause) const {
  ResponseFlags flags = record_->flags;
  if (idle_) {
    flags.set(ResponseFlag::StreamIdleTimeout);
  } else if (cause == CloseCause::Cut) {
    flags.set(ResponseFlag::Drained);
  } else if (cause == CloseCause::Client) {
    flags.set(ResponseFlag::DownstreamTermination);
  } else if (mode == CloseMode::Reset) {
    flags.set(ResponseFlag::UpstreamReset);
  }
  return flags;
}

void Tunnel::write_log(CloseMode mode, CloseCause cause) const {
  if (record_ == nullptr || context_.access_log == nullptr) return;
  const TunnelState& tunnel = callbacks_.tunnel();
  const LegState& client = tunnel.downstream;
  // What lingers still goes out.
  const std::uint64_t unsent = mode == CloseMode::Linger ? client.unsent.size() : 0;
  RecordedTunnel recorded(*record_);
  StreamInfo& info = recorded.stream;
  info.flags = flags(mode, cause);
  info.cluster = bytes_.cluster_name();
  info.endpoint = tunnel.upstream->endpoint;
  info.received_bytes = difference(client.received_bytes, record_->received_before);
  info.sent_bytes = difference(client.sent_bytes + unsent, record_->sent_before);
  info.duration = duration_cast<microseconds>(steady_clock::now() - record_->started_at);
  context_.log_line.clear();
  context_.log_format->render(context_.log_line, info, recorded.request, &recorded.response);
  context_.access_log->append(context_.log_line);
}

bool Tunnel::freeze() {
  if (!bytes_.freeze()) return false;
  idle_timeout_.disarm();
  return true;
}

void Tunnel::thaw() {
  bytes_.thaw();
  seems_idle_ = false;
  if (idle_queue_ == nullptr) return;
  // What is left of the time: it does not begin anew with each move. But the bytes that wait are
  // read before it is over.
  const auto now = CoarseClock::now();
  const auto last = callbacks_.tunnel().last_activity();
  idle_queue_->arm(idle_timeout_,
                   std::min(now, std::max(last, now - idle_queue_->time() + kTimeToRead)));
}

MoveDetails Tunnel::move_details() const {
  MoveDetails details = bytes_.move_details();
  details.kind = MoveKind::HttpTunnel;
  details.idle_timeout = idle_queue_ != nullptr ? idle_queue_->time() : milliseconds(0);
  details.tunnel = record_;
  return details;
}

bool Tunnel::restore(const MoveDetails& details) {
  record_ = details.tunnel;
  idle_queue_ = context_.stream_idle_timeout;
  if (details.idle_timeout) {
    const milliseconds time = *details.idle_timeout;
    idle_queue_ = time.count() > 0 ? &context_.worker.timeouts().of(time) : nullptr;
  }
  return bytes_.restore(details);
}

}  // namespace baton::proxy::http
