#include "proxy/move/connection_record.h"

#include <utility>

#include "proxy/move/address_bytes.h"
#include "proxy/move/http_tunnel_record.h"
#include "proxy/move/record_time.h"
#include "shared/os/socket_type.h"

namespace baton::proxy {
namespace {

using std::chrono::steady_clock;

proto::MoveKind to_message(MoveKind kind) {
  switch (kind) {
    case MoveKind::TcpTunnel:
      return proto::TCP_TUNNEL;
    case MoveKind::HttpIdle:
      return proto::HTTP_IDLE;
    case MoveKind::HttpTunnel:
      return proto::HTTP_TUNNEL;
    case MoveKind::None:
      break;
  }
  return proto::MOVE_KIND_UNSPECIFIED;
}

MoveKind from_message(proto::MoveKind kind) {
  switch (kind) {
    case proto::TCP_TUNNEL:
      return MoveKind::TcpTunnel;
    case proto::HTTP_IDLE:
      return MoveKind::HttpIdle;
    case proto::HTTP_TUNNEL:
      return MoveKind::HttpTunnel;
    default:
      return MoveKind::None;  // and those of later releases
  }
}

void write_leg(const LegState& leg, proto::LegRecord& record) {
  record.set_unsent(leg.unsent.view().data(), leg.unsent.size());
  record.set_read_ended(leg.read_ended);
  record.set_end_queued(leg.end_queued);
  record.set_write_ended(leg.write_ended);
  record.set_received_bytes(leg.received_bytes);
  record.set_sent_bytes(leg.sent_bytes);
  record.set_shared(leg.shared);
  record.set_last_activity_ms(
      static_cast<std::uint64_t>(leg.last_activity.time_since_epoch().count()));
}

// HTTP connections without unread bytes have the first schema, which every release knows.
bool is_known(MoveKind kind, std::uint32_t schema) {
  return schema == kMoveSchema || (schema == kMoveSchemaUnread && kind == MoveKind::HttpIdle);
}

LegState read_leg(const proto::LegRecord& record, os::UniqueFd fd) {
  LegState leg{.fd = std::move(fd),
               .read_ended = record.read_ended(),
               .end_queued = record.end_queued(),
               .write_ended = record.write_ended(),
               .shared = record.shared()};
  leg.unsent.append(record.unsent());
  leg.received_bytes = record.received_bytes();
  leg.sent_bytes = record.sent_bytes();
  leg.last_activity = past_time<CoarseClock>(record.last_activity_ms());
  return leg;
}

}  // namespace

void write_record(const std::string& listener, const TunnelState& state, const MoveDetails& details,
                  proto::ConnectionRecord& record, std::vector<int>& fds) {
  record.set_kind(to_message(details.kind));
  record.set_schema(details.unread.empty() ? kMoveSchema : kMoveSchemaUnread);
  record.set_unread(details.unread);
  record.set_listener(listener);
  record.set_client(to_address_bytes(state.client));
  record.set_accepted_ns(static_cast<std::uint64_t>(state.accepted.time_since_epoch().count()));
  record.set_requests(details.requests);
  write_leg(state.downstream, *record.mutable_downstream());
  fds.push_back(state.downstream.fd.get());
  record.set_descriptors(static_cast<std::uint32_t>(descriptors_of(record.kind())));
  if (details.kind == MoveKind::HttpIdle) return;
  record.set_cluster(details.cluster);
  record.set_endpoint(to_address_bytes(details.endpoint));
  if (details.kind == MoveKind::HttpTunnel) {
    write_http_tunnel(details, *record.mutable_http_tunnel());
  }
  write_leg(*state.upstream, *record.mutable_upstream());
  fds.push_back(state.upstream->fd.get());
}

std::size_t descriptors_of(const proto::ConnectionRecord& record) {
  return record.descriptors() != 0 ? record.descriptors() : descriptors_of(record.kind());
}

std::size_t descriptors_of(proto::MoveKind kind) {
  if (kind == proto::IDLE_UPSTREAM) return 1;
  switch (from_message(kind)) {
    case MoveKind::TcpTunnel:
    case MoveKind::HttpTunnel:
      return 2;
    case MoveKind::HttpIdle:
      return 1;
    case MoveKind::None:
      break;
  }
  return 0;
}

std::expected<ReadRecord, proto::MoveVerdict> read_record(const proto::ConnectionRecord& record,
                                                          std::span<os::UniqueFd> fds) {
  const MoveKind kind = from_message(record.kind());
  if (kind == MoveKind::None || !is_known(kind, record.schema())) {
    return std::unexpected(proto::MOVE_UNKNOWN_KIND);
  }
  for (const os::UniqueFd& fd : fds) {
    if (os::socket_type(fd.get()) != SOCK_STREAM) return std::unexpected(proto::MOVE_MALFORMED);
  }
  const auto client = from_address_bytes(record.client());
  if (!client || record.unread().size() > MoveDetails::kMostUnreadBytes) {
    return std::unexpected(proto::MOVE_MALFORMED);
  }
  ReadRecord read;
  read.details = {.kind = kind,
                  .cluster = record.cluster(),
                  .requests = record.requests(),
                  .unread = record.unread()};
  if (!read_http_tunnel(record.http_tunnel(), read.details)) {
    return std::unexpected(proto::MOVE_MALFORMED);
  }
  read.state.client = *client;
  read.state.accepted = past_time<steady_clock>(record.accepted_ns());
  read.state.downstream = read_leg(record.downstream(), std::move(fds[0]));
  if (fds.size() > 1) {
    const auto endpoint = from_address_bytes(record.endpoint());
    if (!endpoint) return std::unexpected(proto::MOVE_MALFORMED);
    read.details.endpoint = *endpoint;
    read.state.upstream =
        std::make_unique<UpstreamLeg>(read_leg(record.upstream(), std::move(fds[1])));
  }
  return read;
}

}  // namespace baton::proxy
