// Who may connect, by address: the decision of the ip_filter, without any connection.
// Thread: any; immutable.
#pragma once

#include <vector>

#include "proxy/filter/ip_filter/ip_range.h"
#include "shared/os/socket_address.h"

namespace baton::proxy {

struct IpRules {
  std::vector<IpRange> allow;  // empty: everyone
  std::vector<IpRange> deny;   // wins over `allow`

  // A client on a unix socket has no IP address: it is in no range, so it may connect unless
  // `allow` says who may.
  bool admits(const os::SocketAddress& client) const;
};

}  // namespace baton::proxy
