#include "proxy/move/http_tunnel_record.h"

#include <algorithm>
#include <memory>

#include "proxy/http/access_log/tunnel_record.h"
#include "proxy/move/address_bytes.h"

namespace baton::proxy {
namespace {

using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::steady_clock;
using std::chrono::system_clock;

// The longest that a configuration can say.
constexpr std::uint64_t kLongestIdle = milliseconds(std::chrono::days(365)).count();

std::uint64_t nanoseconds_of(auto time) {
  return static_cast<std::uint64_t>(duration_cast<nanoseconds>(time.time_since_epoch()).count());
}

// Not negative, so that differences of two of them do not overflow.
template <class Duration>
Duration duration_of(std::uint64_t count) {
  constexpr auto kMost = static_cast<std::uint64_t>(Duration::max().count());
  return Duration(static_cast<Duration::rep>(std::min(count, kMost)));
}

template <class Clock>
Clock::time_point time_of(std::uint64_t ns) {
  return typename Clock::time_point(
      duration_cast<typename Clock::duration>(duration_of<nanoseconds>(ns)));
}

void write_log(const http::TunnelRecord& from, proto::TunnelLogRecord& to) {
  to.set_started_ns(nanoseconds_of(from.started));
  to.set_started_monotonic_ns(nanoseconds_of(from.started_at));
  to.set_upstream_time_us(static_cast<std::uint64_t>(from.upstream_time.count()));
  to.set_client(to_address_bytes(from.client));
  to.set_received_before(from.received_before);
  to.set_sent_before(from.sent_before);
  to.set_status(from.status);
  to.set_attempts(from.attempts);
  to.set_flags(from.flags.bits());
  to.set_http_1_0(from.version == http::Version::Http10);
  to.set_route(from.route);
  to.set_method(from.method);
  to.set_target(from.target);
  to.set_path(from.path);
  to.set_authority(from.authority);
  to.set_request_lines(from.request_lines);
  to.set_response_lines(from.response_lines);
}

std::shared_ptr<http::TunnelRecord> read_log(const proto::TunnelLogRecord& from) {
  const auto client = from_address_bytes(from.client());
  if (!client) return nullptr;
  return std::make_shared<http::TunnelRecord>(
      http::TunnelRecord{.started = time_of<system_clock>(from.started_ns()),
                         .started_at = time_of<steady_clock>(from.started_monotonic_ns()),
                         .upstream_time = duration_of<microseconds>(from.upstream_time_us()),
                         .client = *client,
                         .received_before = from.received_before(),
                         .sent_before = from.sent_before(),
                         .status = static_cast<std::uint16_t>(from.status()),
                         .attempts = from.attempts(),
                         .flags = http::ResponseFlags::from_bits(from.flags()),
                         .version = from.http_1_0() ? http::Version::Http10 : http::Version::Http11,
                         .route = from.route(),
                         .method = from.method(),
                         .target = from.target(),
                         .path = from.path(),
                         .authority = from.authority(),
                         .request_lines = from.request_lines(),
                         .response_lines = from.response_lines()});
}

}  // namespace

void write_http_tunnel(const MoveDetails& details, proto::HttpTunnelRecord& record) {
  if (details.idle_timeout) {
    record.set_idle_timeout_ms(static_cast<std::uint64_t>(details.idle_timeout->count()));
  }
  if (details.tunnel) write_log(*details.tunnel, *record.mutable_log());
}

bool read_http_tunnel(const proto::HttpTunnelRecord& record, MoveDetails& details) {
  if (record.has_idle_timeout_ms()) {
    details.idle_timeout = milliseconds(std::min(record.idle_timeout_ms(), kLongestIdle));
  }
  if (!record.has_log()) return true;
  details.tunnel = read_log(record.log());
  return details.tunnel != nullptr;
}

}  // namespace baton::proxy
