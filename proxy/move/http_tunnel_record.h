// What an HTTP tunnel takes along beside its bytes: its idle timeout, and what the access log is to
// say of it in the end.
// Thread: any; pure functions.
#pragma once

#include "proto/move.pb.h"
#include "proxy/filter/network_filter.h"

namespace baton::proxy {

void write_http_tunnel(const MoveDetails& details, proto::HttpTunnelRecord& record);
// False: it is malformed.
bool read_http_tunnel(const proto::HttpTunnelRecord& record, MoveDetails& details);

}  // namespace baton::proxy
