#include "proxy/move/idle_upstream_record.h"

#include <algorithm>
#include <utility>

#include "proxy/move/address_bytes.h"
#include "proxy/move/connection_record.h"
#include "proxy/move/record_time.h"
#include "shared/os/socket_type.h"

namespace baton::proxy {

using std::chrono::milliseconds;

void write_record(const std::string& cluster, const http::UpstreamConnection& connection,
                  proto::ConnectionRecord& record, std::vector<int>& fds) {
  record.set_kind(proto::IDLE_UPSTREAM);
  record.set_schema(kMoveSchema);
  record.set_descriptors(1);
  record.set_cluster(cluster);
  record.set_endpoint(to_address_bytes(connection.endpoint()->address));
  record.set_requests(connection.requests_served());
  record.mutable_upstream()->set_last_activity_ms(
      static_cast<std::uint64_t>(connection.last_activity().time_since_epoch().count()));
  record.mutable_upstream()->set_shared(connection.shared());
  if (connection.kept() != milliseconds::max()) {
    record.set_keep_ms(static_cast<std::uint64_t>(connection.kept().count()));
  }
  fds.push_back(connection.fd());
}

std::expected<IdleUpstream, proto::MoveVerdict> read_idle_upstream(
    const proto::ConnectionRecord& record, os::UniqueFd socket) {
  if (record.schema() != kMoveSchema) return std::unexpected(proto::MOVE_UNKNOWN_KIND);
  const auto endpoint = from_address_bytes(record.endpoint());
  if (!endpoint || os::socket_type(socket.get()) != SOCK_STREAM) {
    return std::unexpected(proto::MOVE_MALFORMED);
  }
  IdleUpstream read;
  read.leg.fd = std::move(socket);
  read.endpoint = *endpoint;
  read.leg.last_activity = past_time<CoarseClock>(record.upstream().last_activity_ms());
  read.leg.shared = record.upstream().shared();
  if (record.has_keep_ms()) {
    constexpr auto kMost = static_cast<std::uint64_t>(milliseconds::max().count());
    read.keep = milliseconds(std::min(record.keep_ms(), kMost));
  }
  return read;
}

}  // namespace baton::proxy
