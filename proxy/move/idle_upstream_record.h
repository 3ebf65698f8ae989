// An idle connection to an endpoint as one record and its descriptor.
// Thread: any; pure functions.
#pragma once

#include <chrono>
#include <expected>
#include <string>
#include <vector>

#include "proto/move.pb.h"
#include "proxy/http/upstream/upstream_connection.h"
#include "proxy/network/tunnel_state.h"
#include "shared/os/socket_address.h"
#include "shared/os/unique_fd.h"

namespace baton::proxy {

// Appends the descriptor, borrowed from the connection.
void write_record(const std::string& cluster, const http::UpstreamConnection& connection,
                  proto::ConnectionRecord& record, std::vector<int>& fds);

struct IdleUpstream {
  LegState leg;
  os::SocketAddress endpoint;
  std::chrono::milliseconds keep = std::chrono::milliseconds::max();  // idle, at most
};
// Error: why the record is rejected.
std::expected<IdleUpstream, proto::MoveVerdict> read_idle_upstream(
    const proto::ConnectionRecord& record, os::UniqueFd socket);

}  // namespace baton::proxy
