// A frozen connection as one record and its descriptors: what travels to the next generation.
// Thread: any; pure functions. docs/architecture.md has the life of a moving connection.
#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <vector>

#include "proto/channel.h"
#include "proto/move.pb.h"
#include "proxy/filter/network_filter.h"
#include "proxy/network/tunnel_state.h"

namespace baton::proxy {

// Of each kind; a record with another one is rejected and its connection drains where it is.
inline constexpr std::uint32_t kMoveSchema = 1;
// Of an HTTP connection with unread bytes, which a release that knows only the first would lose.
inline constexpr std::uint32_t kMoveSchemaUnread = 2;

// Appends the descriptors, borrowed from `state`.
void write_record(const std::string& listener, const TunnelState& state, const MoveDetails& details,
                  proto::ConnectionRecord& record, std::vector<int>& fds);

// How many descriptors a record has in its message; 0: nobody knows.
std::size_t descriptors_of(const proto::ConnectionRecord& record);
// How many one of this kind has; 0: the kind is unknown.
std::size_t descriptors_of(proto::MoveKind kind);

struct ReadRecord {
  TunnelState state;
  MoveDetails details;
};
// Takes the descriptors, as many as one of its kind has. Error: why the record is rejected.
std::expected<ReadRecord, proto::MoveVerdict> read_record(const proto::ConnectionRecord& record,
                                                          std::span<os::UniqueFd> fds);

}  // namespace baton::proxy
