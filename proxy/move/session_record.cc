#include "proxy/move/session_record.h"

#include <sys/socket.h>

#include <cstring>
#include <utility>

#include "proxy/move/address_bytes.h"
#include "proxy/move/record_time.h"
#include "shared/os/socket_type.h"

namespace baton::proxy {
namespace {

using std::chrono::steady_clock;

bool is_ip(const std::optional<os::SocketAddress>& address) {
  if (!address) return false;
  const bool v4 = address->family() == AF_INET && address->length() == sizeof(sockaddr_in);
  const bool v6 = address->family() == AF_INET6 && address->length() == sizeof(sockaddr_in6);
  return v4 || v6;
}

}  // namespace

void write_flow(const udp::FlowKey& flow, proto::SessionRecord& record) {
  record.set_client(to_address_bytes(flow.client_address()));
  if (flow.has_local()) record.set_local(flow.local.data(), flow.local.size());
}

std::optional<udp::FlowKey> read_flow(const proto::SessionRecord& record) {
  const auto client = from_address_bytes(record.client());
  if (!is_ip(client)) return std::nullopt;
  sockaddr_storage storage{};
  std::memcpy(&storage, client->data(), client->length());
  udp::FlowKey flow = udp::FlowKey::of_client(storage);
  if (record.local().empty()) return flow;
  if (record.local().size() != flow.local.size()) return std::nullopt;
  std::memcpy(flow.local.data(), record.local().data(), flow.local.size());
  return flow;
}

void write_record(const udp::SessionState& state, std::uint64_t socket,
                  proto::SessionRecord& record) {
  record.set_schema(kSessionSchema);
  record.set_socket(socket);
  write_flow(state.flow, record);
  record.set_endpoint(to_address_bytes(state.endpoint->address));
  record.set_opened_ns(static_cast<std::uint64_t>(state.opened.time_since_epoch().count()));
  record.set_last_activity_ms(
      static_cast<std::uint64_t>(state.last_activity.time_since_epoch().count()));
  record.set_answered(state.answered);
}

std::expected<ReadSession, proto::MoveVerdict> read_record(const proto::SessionRecord& record,
                                                           os::UniqueFd upstream) {
  if (record.schema() != kSessionSchema) return std::unexpected(proto::MOVE_UNKNOWN_KIND);
  const auto flow = read_flow(record);
  const auto endpoint = from_address_bytes(record.endpoint());
  if (!flow || !is_ip(endpoint) || os::socket_type(upstream.get()) != SOCK_DGRAM) {
    return std::unexpected(proto::MOVE_MALFORMED);
  }
  return ReadSession{.state = {.flow = *flow,
                               .upstream = std::move(upstream),
                               .endpoint = nullptr,
                               .opened = past_time<steady_clock>(record.opened_ns()),
                               .last_activity = past_time<CoarseClock>(record.last_activity_ms()),
                               .answered = record.answered()},
                     .endpoint = *endpoint};
}

}  // namespace baton::proxy
