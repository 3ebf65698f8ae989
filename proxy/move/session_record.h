// A UDP session as one record and its descriptor: what travels to the next generation.
// Thread: any; pure functions.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>

#include "proto/move.pb.h"
#include "proxy/udp/flow_key.h"
#include "proxy/udp/session_state.h"
#include "shared/os/socket_address.h"
#include "shared/os/unique_fd.h"

namespace baton::proxy {

// A record with another one is rejected and its session ends where it is.
inline constexpr std::uint32_t kSessionSchema = 1;

// The flow alone: client and local address.
void write_flow(const udp::FlowKey& flow, proto::SessionRecord& record);
std::optional<udp::FlowKey> read_flow(const proto::SessionRecord& record);  // nothing: it is none

// Everything but the names of listener and cluster. `socket`: SharedSocket::cookie().
void write_record(const udp::SessionState& state, std::uint64_t socket,
                  proto::SessionRecord& record);

struct ReadSession {
  udp::SessionState state;     // without the endpoint,
  os::SocketAddress endpoint;  // of which this is known
};
// Error: why the record is rejected.
std::expected<ReadSession, proto::MoveVerdict> read_record(const proto::SessionRecord& record,
                                                           os::UniqueFd upstream);

}  // namespace baton::proxy
